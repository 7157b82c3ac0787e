module github.com/waxwing-xds/waxwing

go 1.26.0

require (
	github.com/proxy-wasm/proxy-wasm-go-sdk v0.0.0-20250212164326-ab4161dcf924
	github.com/valyala/fastjson v1.6.10
)

require github.com/tetratelabs/wazero v1.7.2 // indirect
