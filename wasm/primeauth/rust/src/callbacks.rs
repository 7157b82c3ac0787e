//! The callbacks that the proxy calls: only those that the filter has work in, as each
//! that a module exports is called.
//! <https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>

use crate::config::Config;
use crate::contexts::Contexts;
use crate::decide::{judge, Verdict, METRICS};
use crate::headers::Headers;
use crate::host::{self, Action};
use std::cell::{Cell, RefCell};

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
const COUNTED: u32 = 1000; // milliseconds

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

/// Says which version of the specification the module is of. Nobody calls it.
#[no_mangle]
extern "C" fn proxy_abi_version_0_2_1() {}

/// Begins a plugin, whose root is 0, or a request under one.
#[no_mangle]
extern "C" fn proxy_on_context_create(id: u32, root: u32) {
    CONTEXTS.with_borrow_mut(|contexts| contexts.create(id, root));
}

/// Reads the configuration. An invalid one is refused, with the reason in the
/// proxy's log, and the proxy keeps the filter that it has.
#[no_mangle]
extern "C" fn proxy_on_configure(id: u32, size: usize) -> bool {
    // A configuration that can't be read is none that the defaults may stand in for.
    match Config::parse(&host::configuration(size)) {
        Ok(config) => {
            let plugin = Plugin::new(config);
            host::set_tick_period(COUNTED);
            CONTEXTS.with_borrow_mut(|contexts| contexts.configure(id, plugin));
            true
        }
        Err(reason) => {
            log(host::CRITICAL, &reason);
            false
        }
    }
}

/// Answers a request that has no business with the service.
#[no_mangle]
extern "C" fn proxy_on_request_headers(id: u32, _headers: usize, _end: bool) -> Action {
    CONTEXTS.with_borrow(|contexts| contexts.plugin(id).request())
}

/// Names the filter, where that is asked for.
#[no_mangle]
extern "C" fn proxy_on_response_headers(id: u32, _headers: usize, _end: bool) -> Action {
    CONTEXTS.with_borrow(|contexts| contexts.plugin(id).response())
}

/// Tells what a plugin has counted.
#[no_mangle]
extern "C" fn proxy_on_tick(id: u32) {
    CONTEXTS.with_borrow(|contexts| contexts.root(id).into_iter().for_each(Plugin::tell));
}

/// Ends a request, or a plugin.
#[no_mangle]
extern "C" fn proxy_on_delete(id: u32) {
    CONTEXTS.with_borrow_mut(|contexts| contexts.delete(id));
}

impl Plugin {
    fn new(config: Config) -> Plugin {
        Plugin {
            config,
            metrics: METRICS.map(|name| Metric {
                id: host::define_counter(name),
                counted: Cell::new(0),
            }),
            name: String::from("primeauth/") + VERSION,
        }
    }

    fn request(&self) -> Action {
        let config = &self.config;
        let judged = host::with_request_headers(|map| judge(config, Headers::new(map)));
        let verdict = judged.unwrap_or_else(|| {
            log(host::ERROR, "reading the request's headers failed");
            Verdict::Missing
        });
        self.metrics[verdict as usize].counted.update(|n| n + 1);
        if verdict.denied() {
            host::answer(config.denied_status, &config.denied_body);
            return Action::Pause; // because the request ends here
        }
        if config.remove_header {
            host::remove_request_header(&config.header);
        }
        Action::Continue
    }

    fn tell(&self) {
        for metric in &self.metrics {
            let counted = metric.counted.take();
            if counted > 0 {
                host::increment(metric.id, counted);
            }
        }
    }

    fn response(&self) -> Action {
        let Plugin { config, name, .. } = self;
        if !config.response_header.is_empty() {
            host::set_response_header(&config.response_header, name);
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

fn log(level: u32, message: &str) {
    host::log(level, &(String::from("primeauth: ") + message));
}
