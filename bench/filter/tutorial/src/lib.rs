//! The filter that this project began with, for comparison only, its few lines in
//! our own words: the SDK as it comes; its log at the finest level, and in it a line
//! for each header of a request, its value too (a thing not to do); the one header
//! asked for by its name, so that of two tokens it sees the first; and trial division
//! by a crate. No configuration, no metrics.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|id, _| Box::new(Seed { id }));
}}

struct Seed {
    id: u32,
}

impl Context for Seed {}

impl HttpContext for Seed {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        for (name, value) in self.get_http_request_headers() {
            log::trace!("request {} has {name}: {value}", self.id);
        }
        let token = self.get_http_request_header("token");
        let number = token.and_then(|text| text.parse().ok());
        if number.is_some_and(primes::is_prime) {
            self.resume_http_request();
            return Action::Continue;
        }
        self.send_http_response(
            403,
            vec![("Powered-By", "proxy-wasm")],
            Some(b"Access forbidden.\n"),
        );
        Action::Pause
    }
}
