;; Asks for every property at every callback, and logs what it gets: the callback, the
;; property's number in hexadecimal, the status, the length of the value and its first
;; bytes. The properties are a table from 65536 on: for each path its length, and itself;
;; a length of 0 ends it. A request whose path begins with /l is answered by the filter,
;; one with /c waits for an HTTP call to the cluster "dead", one with /r is reset.
(module
  (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_set_tick_period_milliseconds" (func $tick (param i32) (result i32)))
  (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
  (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
  (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_send_local_response" (func $respond (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_http_call" (func $call (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_close_stream" (func $close (param i32) (result i32)))
  (import "env" "proxy_set_property" (func $set (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 64)
  (global $heap (mut i32) (i32.const 1048576))
  (global $out (mut i32) (i32.const 0))
  (global $paused (mut i32) (i32.const 0))
  (data (i32.const 48) "dead:path   mine    ")
  (data (i32.const 128) "\03\00\00\00" "\05\00\00\00\01\00\00\00" "\07\00\00\00\03\00\00\00" "\0a\00\00\00\01\00\00\00"
    ":path\00/\00" ":method\00GET\00" ":authority\00x\00")
  (data (i32.const 256) "0123456789abcdef")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "malloc") (param i32) (result i32)
    (global.get $heap)
    (global.set $heap (i32.and (i32.add (global.get $heap) (i32.add (local.get 0) (i32.const 16))) (i32.const -8))))

  ;; $put writes a byte of the message, $digits a number in as many hexadecimal digits.
  (func $put (param i32)
    (i32.store8 (global.get $out) (local.get 0))
    (global.set $out (i32.add (global.get $out) (i32.const 1))))
  (func $digits (param $value i32) (param $n i32)
    (loop $next
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (call $put (i32.load8_u (i32.add (i32.const 256)
        (i32.and (i32.shr_u (local.get $value) (i32.mul (local.get $n) (i32.const 4))) (i32.const 15)))))
      (br_if $next (local.get $n))))

  (func $ask (param $where i32)
    (local $at i32) (local $n i32) (local $status i32) (local $value i32) (local $end i32)
    (local.set $at (i32.const 65536))
    (loop $each
      (global.set $heap (i32.const 1048576))
      (global.set $out (i32.const 524288))
      (i32.store (i32.const 0) (i32.const 0))
      (i32.store (i32.const 4) (i32.const 0))
      (local.set $status (call $get (i32.add (local.get $at) (i32.const 4)) (i32.load (local.get $at)) (i32.const 0) (i32.const 4)))
      (call $put (local.get $where))
      (call $put (i32.const 32))
      (call $digits (local.get $n) (i32.const 4))
      (call $put (i32.const 32))
      (call $digits (local.get $status) (i32.const 2))
      (call $put (i32.const 32))
      (call $digits (i32.load (i32.const 4)) (i32.const 8))
      (call $put (i32.const 32))
      (local.set $value (i32.load (i32.const 0)))
      (local.set $end (i32.add (local.get $value) (i32.load (i32.const 4))))
      (if (i32.gt_u (i32.load (i32.const 4)) (i32.const 1024)) (then
        (local.set $end (i32.add (local.get $value) (i32.const 1024)))))
      (block $done (loop $bytes
        (br_if $done (i32.ge_u (local.get $value) (local.get $end)))
        (call $digits (i32.load8_u (local.get $value)) (i32.const 2))
        (local.set $value (i32.add (local.get $value) (i32.const 1)))
        (br $bytes)))
      (drop (call $log (i32.const 3) (i32.const 524288) (i32.sub (global.get $out) (i32.const 524288))))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (local.set $at (i32.add (i32.add (local.get $at) (i32.const 4)) (i32.load (local.get $at))))
      (br_if $each (i32.load (local.get $at)))))

  (func (export "proxy_on_context_create") (param i32 i32)
    (call $ask (select (i32.const 0x61) (i32.const 0x65) (i32.eqz (local.get 1))))) ;; a, e
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (call $ask (i32.const 0x62)) (i32.const 1)) ;; b
  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $tick (i32.const 100)))
    (call $ask (i32.const 0x63)) (i32.const 1)) ;; c
  (func (export "proxy_on_tick") (param i32) (drop (call $tick (i32.const 0))) (call $ask (i32.const 0x64))) ;; d
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (local $kind i32)
    (drop (call $set (i32.const 60) (i32.const 4) (i32.const 48) (i32.const 4))) ;; mine = dead
    (call $ask (i32.const 0x66)) ;; f
    (drop (call $header (i32.const 0) (i32.const 52) (i32.const 5) (i32.const 0) (i32.const 4)))
    (local.set $kind (i32.load8_u (i32.add (i32.load (i32.const 0)) (i32.const 1))))
    (if (i32.eq (local.get $kind) (i32.const 0x6c)) (then
      (drop (call $respond (i32.const 403) (i32.const 48) (i32.const 4) (i32.const 52) (i32.const 5) (i32.const 0) (i32.const 0) (i32.const -1)))
      (return (i32.const 1))))
    (if (i32.eq (local.get $kind) (i32.const 0x72)) (then
      (drop (call $close (i32.const 0)))
      (return (i32.const 1))))
    (if (i32.eq (local.get $kind) (i32.const 0x63)) (then
      (global.set $paused (local.get 0))
      (drop (call $call (i32.const 48) (i32.const 4) (i32.const 128) (i32.const 61) (i32.const 0) (i32.const 0)
        (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 0)))
      (return (i32.const 1))))
    (i32.const 0))
  (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
    (call $ask (select (i32.const 0x48) (i32.const 0x67) (local.get 2))) (i32.const 0)) ;; g, H at the end
  (func (export "proxy_on_request_trailers") (param i32 i32) (result i32) (call $ask (i32.const 0x68)) (i32.const 0)) ;; h
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (call $ask (i32.const 0x69)) (i32.const 0)) ;; i
  (func (export "proxy_on_response_body") (param i32 i32 i32) (result i32)
    (call $ask (select (i32.const 0x4a) (i32.const 0x6a) (local.get 2))) (i32.const 0)) ;; j, J at the end
  (func (export "proxy_on_response_trailers") (param i32 i32) (result i32) (call $ask (i32.const 0x6b)) (i32.const 0)) ;; k
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (call $ask (i32.const 0x6c)) ;; l
    (if (i32.eqz (call $effective (global.get $paused))) (then
      (call $ask (i32.const 0x6d)) ;; m
      (drop (call $continue (i32.const 0))))))
  (func (export "proxy_on_log") (param i32) (call $ask (i32.const 0x6e))) ;; n
  (func (export "proxy_on_done") (param i32) (result i32) (call $ask (i32.const 0x6f)) (i32.const 1)) ;; o
  (func (export "proxy_on_delete") (param i32) (call $ask (i32.const 0x70))) ;; p
)
