;; What stands in the place of a filter whose first revision was rejected, until the
;; listener is gone: every request is answered 503. Assembled into closed.wasm by wat2wasm.
(module
  (import "env" "proxy_send_local_response"
    (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "This listener is closed.\0a")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $respond (i32.const 503) (i32.const 0) (i32.const 0)
      (i32.const 16) (i32.const 25) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))
