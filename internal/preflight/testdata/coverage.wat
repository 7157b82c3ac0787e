;; Answers 403 to a header x that begins with 1, 429 to a, and traps at 2.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (data (i32.const 64) "x")
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (i32.store (i32.const 0) (i32.const 128)) (i32.store (i32.const 128) (i32.const 0))
    (drop (call $get (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 0) (i32.const 4)))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x32)) (then (unreachable)))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x31)) (then
      (drop (call $respond (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
      (return (i32.const 1))))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 0x61)) (then
      (drop (call $respond (i32.const 429) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
      (return (i32.const 1))))
    (i32.const 0))
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (i32.const 0))
  (memory (export "memory") 2)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32) (i32.const 1024)))
