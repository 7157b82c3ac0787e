;; A filter that answers rightly four hundred times (a token that begins with 3
;; passes, any other is answered 403), and then lets every request pass.
(module
  (import "env" "proxy_get_header_map_value"
    (func $get_header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response"
    (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 1)
  (global $asked (mut i32) (i32.const 0))
  (data (i32.const 16) "token")
  (data (i32.const 96) "Access forbidden.\n")

  (func (export "proxy_abi_version_0_2_0"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 4096))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))

  (func $deny (result i32)
    (drop (call $respond (i32.const 403) (i32.const 0) (i32.const 0)
      (i32.const 96) (i32.const 18) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
    (if (i32.gt_u (global.get $asked) (i32.const 400))
      (then (return (i32.const 0))))
    (if (call $get_header (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 8) (i32.const 12))
      (then (return (call $deny))))
    (if (i32.ne (i32.load8_u (i32.load (i32.const 8))) (i32.const 51))
      (then (return (call $deny))))
    (i32.const 0)))
