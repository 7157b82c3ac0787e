;; A filter that lets a request pass whose header has a value: its configuration is
;; "HEADER=VALUE". Any other request is answered with the status at 520, which who
;; assembles it writes there (403, 401), so that answers tell which module it was.
(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes" (func $buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 4)
  (global $heap (mut i32) (i32.const 8192))
  (global $config (mut i32) (i32.const 0)) ;; where the configuration is
  (global $size (mut i32) (i32.const 0))   ;; of all of it
  (global $name (mut i32) (i32.const 0))   ;; of the header's name in it
  (data (i32.const 512) "status: 403")

  (func (export "proxy_abi_version_0_2_1"))
  ;; What is allocated for requests is used again; the configuration lies below it.
  (func $malloc (export "malloc") (param $n i32) (result i32) (local $at i32)
    (if (i32.gt_u (i32.add (global.get $heap) (local.get $n)) (i32.const 250000)) (then (global.set $heap (i32.const 16384))))
    (local.set $at (global.get $heap))
    (global.set $heap (i32.and (i32.add (i32.add (global.get $heap) (local.get $n)) (i32.const 7)) (i32.const -8)))
    (local.get $at))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32))

  ;; The plugin configuration is buffer 7. It is refused without a "=" in it.
  (func (export "proxy_on_configure") (param $id i32) (param $n i32) (result i32)
    (global.set $heap (i32.const 8192))
    (if (call $buffer (i32.const 7) (i32.const 0) (local.get $n) (i32.const 1024) (i32.const 1028))
      (then (return (i32.const 0))))
    (global.set $config (i32.load (i32.const 1024)))
    (global.set $size (i32.load (i32.const 1028)))
    (global.set $name (i32.const 0))
    (global.set $heap (i32.const 16384))
    (loop $next
      (if (i32.ge_u (global.get $name) (global.get $size)) (then (return (i32.const 0))))
      (if (i32.eq (i32.load8_u (i32.add (global.get $config) (global.get $name))) (i32.const 61))
        (then (return (i32.const 1))))
      (global.set $name (i32.add (global.get $name) (i32.const 1)))
      (br $next))
    (i32.const 0))

  (func $same (param $p i32) (param $n i32) (param $q i32) (param $m i32) (result i32) (local $i i32)
    (if (i32.ne (local.get $n) (local.get $m)) (then (return (i32.const 0))))
    (loop $next
      (if (i32.ge_u (local.get $i) (local.get $n)) (then (return (i32.const 1))))
      (if (i32.ne (i32.load8_u (i32.add (local.get $p) (local.get $i))) (i32.load8_u (i32.add (local.get $q) (local.get $i))))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))
    (i32.const 0))

  ;; The digits at 520 as a number.
  (func $status (result i32)
    (i32.add (i32.add
      (i32.mul (i32.sub (i32.load8_u (i32.const 520)) (i32.const 48)) (i32.const 100))
      (i32.mul (i32.sub (i32.load8_u (i32.const 521)) (i32.const 48)) (i32.const 10)))
      (i32.sub (i32.load8_u (i32.const 522)) (i32.const 48))))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (i32.store (i32.const 1024) (i32.const 0)) (i32.store (i32.const 1028) (i32.const 0))
    (drop (call $get (i32.const 0) (global.get $config) (global.get $name) (i32.const 1024) (i32.const 1028)))
    (if (call $same (i32.load (i32.const 1024)) (i32.load (i32.const 1028))
          (i32.add (i32.add (global.get $config) (global.get $name)) (i32.const 1))
          (i32.sub (i32.sub (global.get $size) (global.get $name)) (i32.const 1)))
      (then (return (i32.const 0))))
    (drop (call $reply (call $status) (i32.const 0) (i32.const 0) (i32.const 512) (i32.const 11) (i32.const 0) (i32.const 0) (i32.const -1)))
    (i32.const 1)))
