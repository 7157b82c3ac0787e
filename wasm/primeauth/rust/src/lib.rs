//! primeauth, a Proxy-Wasm filter that lets a request through only if its token
//! header is a prime number: the Rust twin of the Go filter beside it. This
//! file holds the host calls; what they decide is in decide.rs.

pub mod config;
pub mod decide;
pub mod headers;
mod json;
pub mod prime;

use config::Config;
use decide::{judge, Verdict, METRICS};
use headers::Headers;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, Bytes, ContextType, LogLevel, MapType, MetricType, Status};
use std::rc::Rc;

// No proxy_wasm::set_log_level: it logs a panic's message, and one of the SDK's
// could hold a header's value.
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// Names the build, in the response header.
const VERSION: &str = match option_env!("PRIMEAUTH_VERSION") {
    Some(version) => version,
    None => "dev",
};

/// One configuration of the filter in one VM.
struct Plugin {
    config: Config,
    metrics: [u32; Verdict::COUNT],
    name: String, // the response header's value
}

#[derive(Default)]
struct Root {
    plugin: Option<Rc<Plugin>>,
}

impl Context for Root {}

impl RootContext for Root {
    /// Reads the configuration. An invalid one is refused, with the reason in
    /// the proxy's log, and the proxy keeps the filter that it has.
    fn on_configure(&mut self, _size: usize) -> bool {
        let data = self.get_plugin_configuration().unwrap_or_default();
        match Config::parse(&data) {
            Ok(config) => {
                self.plugin = Some(Rc::new(Plugin::new(config)));
                true
            }
            Err(reason) => {
                log(LogLevel::Critical, &reason);
                false
            }
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    /// Is called for each request.
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let plugin = Rc::clone(self.plugin.as_ref()?);
        Some(Box::new(Request { plugin }))
    }
}

impl Plugin {
    fn new(config: Config) -> Plugin {
        let define = |name| hostcalls::define_metric(MetricType::Counter, name).unwrap_or_default();
        Plugin {
            config,
            metrics: METRICS.map(define),
            name: String::from("primeauth/") + VERSION,
        }
    }
}

struct Request {
    plugin: Rc<Plugin>,
}

impl Context for Request {}

impl HttpContext for Request {
    /// Answers a request that has no business with the service.
    fn on_http_request_headers(&mut self, _headers: usize, _end: bool) -> Action {
        let Plugin {
            config, metrics, ..
        } = &*self.plugin;
        let verdict = judge(config, Headers::new(&request_headers()));
        let _ = hostcalls::increment_metric(metrics[verdict as usize], 1);
        if verdict.denied() {
            // Paused, because the request ends here.
            self.send_http_response(config.denied_status, vec![], Some(&config.denied_body));
            return Action::Pause;
        }
        if config.remove_header {
            self.remove_http_request_header(&config.header);
        }
        Action::Continue
    }

    /// Names the filter, where that is asked for.
    fn on_http_response_headers(&mut self, _headers: usize, _end: bool) -> Action {
        let Plugin { config, name, .. } = &*self.plugin;
        if !config.response_header.is_empty() {
            self.set_http_response_header(&config.response_header, Some(name));
        }
        Action::Continue
    }
}

#[link(wasm_import_module = "env")]
extern "C" {
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
}

/// All headers of the request, as the proxy serializes them. All, because asked
/// for one it answers with the first of that name and keeps quiet about a
/// second. Not by the SDK: its get_map copies each name and value and panics at
/// one that isn't UTF-8.
fn request_headers() -> Bytes {
    let (mut data, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the host writes both before it returns.
    let status =
        unsafe { proxy_get_header_map_pairs(MapType::HttpRequestHeaders, &mut data, &mut size) };
    if status != Status::Ok as u32 || data.is_null() {
        log(LogLevel::Error, "reading the request's headers failed");
        return Bytes::new();
    }
    // SAFETY: the host got these bytes from the SDK's malloc, which makes a
    // boxed slice of that size, and has handed them over.
    unsafe { Bytes::from_raw_parts(data, size, size) }
}

fn log(level: LogLevel, message: &str) {
    let _ = hostcalls::log(level, &(String::from("primeauth: ") + message));
}
