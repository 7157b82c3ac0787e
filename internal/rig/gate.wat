;; A filter as small as one can be: a token of five characters that begins with
;; 3 passes (32323), any other is answered 403 (323232), and each response says
;; in x-build which build it was. Envoy compiles it in milliseconds, where the Go
;; module takes seconds. The tests patch the eight characters after "build:".
(module
  (import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value"
    (func $add_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  (data (i32.const 16) "token")
  (data (i32.const 32) "x-build")
  (data (i32.const 58) "build:00000000")
  (data (i32.const 96) "Access forbidden.\n")

  (func (export "proxy_abi_version_0_2_0"))
  ;; The host copies each value that it returns to here; one at a time is in use.
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))

  (func $deny (result i32)
    (drop (call $respond (i32.const 403) (i32.const 0) (i32.const 0)
      (i32.const 96) (i32.const 18) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)) ;; pause: the request ends here

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    ;; token → pointer at 8, size at 12
    (if (call $get_header (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 8) (i32.const 12))
      (then (return (call $deny))))
    (if (i32.ne (i32.load (i32.const 12)) (i32.const 5))
      (then (return (call $deny))))
    (if (i32.ne (i32.load8_u (i32.load (i32.const 8))) (i32.const 51))
      (then (return (call $deny))))
    (i32.const 0))

  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (drop (call $add_header (i32.const 2) (i32.const 32) (i32.const 7) (i32.const 64) (i32.const 8)))
    (i32.const 0)))
