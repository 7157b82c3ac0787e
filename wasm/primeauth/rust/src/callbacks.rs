//! The callbacks that the proxy calls, and the host calls that they make.
//!
//! They are not the SDK's: that exports each callback there is, keeps an object for
//! each request and finds it in a map at each call, which takes a request longer
//! than all else here. Each is named prime_… for what the proxy calls proxy_…,
//! because the SDK has the latter names; ../link-rust.sh exports these as those.
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>

use crate::config::Config;
use crate::contexts::Contexts;
use crate::decide::{judge, Verdict, METRICS};
use crate::headers::Headers;
use crate::memory::with_request_headers;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType, MetricType, Status};
use std::cell::{Cell, RefCell};
use std::time::Duration;

// No proxy_wasm::set_log_level: it logs a panic's message, and one of the SDK's
// could hold a header's value.

thread_local! { // a VM has one thread
    static CONTEXTS: RefCell<Contexts<Plugin>> = const { RefCell::new(Contexts::new()) };
}

/// Names the build, in the response header.
const VERSION: &str = match option_env!("PRIMEAUTH_VERSION") {
    Some(version) => version,
    None => "dev",
};

/// How often the proxy is told what was counted. Not at each request: a call out
/// of the sandbox takes a request longer than the filter's own work does.
const COUNTED: Duration = Duration::from_secs(1);

/// One configuration of the filter in one VM.
struct Plugin {
    config: Config,
    metrics: [Metric; Verdict::COUNT],
    name: String, // the response header's value
}

/// A counter of the proxy's, and what it was not told yet.
struct Metric {
    id: u32,
    counted: Cell<i64>,
}

/// Begins a plugin, whose root is 0, or a request under one.
#[no_mangle]
extern "C" fn prime_on_context_create(id: u32, root: u32) {
    CONTEXTS.with_borrow_mut(|contexts| contexts.create(id, root));
}

/// Reads the configuration. An invalid one is refused, with the reason in the
/// proxy's log, and the proxy keeps the filter that it has.
#[no_mangle]
extern "C" fn prime_on_configure(id: u32, size: usize) -> bool {
    // A configuration that can't be read is none that the defaults may stand in for.
    let data = hostcalls::get_buffer(BufferType::PluginConfiguration, 0, size).unwrap();
    let data = data.unwrap_or_default();
    match Config::parse(&data) {
        Ok(config) => {
            let plugin = Plugin::new(config);
            hostcalls::set_tick_period(COUNTED).unwrap();
            CONTEXTS.with_borrow_mut(|contexts| contexts.configure(id, plugin));
            true
        }
        Err(reason) => {
            log(LogLevel::Critical, &reason);
            false
        }
    }
}

/// Answers a request that has no business with the service.
#[no_mangle]
extern "C" fn prime_on_request_headers(id: u32, _headers: usize, _end: bool) -> Action {
    CONTEXTS.with_borrow(|contexts| contexts.plugin(id).request())
}

/// Names the filter, where that is asked for.
#[no_mangle]
extern "C" fn prime_on_response_headers(id: u32, _headers: usize, _end: bool) -> Action {
    CONTEXTS.with_borrow(|contexts| contexts.plugin(id).response())
}

/// Tells what a plugin has counted.
#[no_mangle]
extern "C" fn prime_on_tick(id: u32) {
    CONTEXTS.with_borrow(|contexts| contexts.root(id).into_iter().for_each(Plugin::tell));
}

/// Ends a request, or a plugin.
#[no_mangle]
extern "C" fn prime_on_delete(id: u32) {
    CONTEXTS.with_borrow_mut(|contexts| contexts.delete(id));
}

impl Plugin {
    fn new(config: Config) -> Plugin {
        let define = |name| hostcalls::define_metric(MetricType::Counter, name).unwrap_or_default();
        Plugin {
            config,
            metrics: METRICS.map(|name| Metric {
                id: define(name),
                counted: Cell::new(0),
            }),
            name: String::from("primeauth/") + VERSION,
        }
    }

    fn request(&self) -> Action {
        let config = &self.config;
        let judged = with_request_headers(|map| judge(config, Headers::new(map)));
        let verdict = judged.unwrap_or_else(|| {
            log(LogLevel::Error, "reading the request's headers failed");
            Verdict::Missing
        });
        self.metrics[verdict as usize].counted.update(|n| n + 1);
        if verdict.denied() {
            answer(config.denied_status, &config.denied_body);
            return Action::Pause; // because the request ends here
        }
        if config.remove_header {
            hostcalls::remove_map_value(MapType::HttpRequestHeaders, &config.header).unwrap();
        }
        Action::Continue
    }

    fn tell(&self) {
        for metric in &self.metrics {
            let counted = metric.counted.take();
            if counted > 0 {
                let _ = hostcalls::increment_metric(metric.id, counted);
            }
        }
    }

    fn response(&self) -> Action {
        let Plugin { config, name, .. } = self;
        if !config.response_header.is_empty() {
            let header = &config.response_header;
            hostcalls::set_map_value(MapType::HttpResponseHeaders, header, Some(name)).unwrap();
        }
        Action::Continue
    }
}

impl Drop for Plugin {
    /// Its last tick was before its last requests.
    fn drop(&mut self) {
        self.tell();
    }
}

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_send_local_response(
        status: u32,
        details: *const u8,
        details_size: usize,
        body: *const u8,
        body_size: usize,
        headers: *const u8,
        headers_size: usize,
        grpc_status: i32,
    ) -> u32;
}

/// Answers the request in the service's place. Not by the SDK, which serializes the
/// headers that there are none of.
fn answer(status: u32, body: &[u8]) {
    const NONE: *const u8 = std::ptr::null();
    // SAFETY: the host reads the body before it returns, and nothing where a size is 0.
    let result = unsafe {
        proxy_send_local_response(status, NONE, 0, body.as_ptr(), body.len(), NONE, 0, -1)
    };
    assert!(result == Status::Ok as u32, "the answer is not taken");
}

fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, &(String::from("primeauth: ") + message));
}
