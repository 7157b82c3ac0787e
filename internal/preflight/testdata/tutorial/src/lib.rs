//! PrimeAuthorizer as tutorials write it: it reads all headers for its log, and the
//! SDK's call for that panics where one is not UTF-8.

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_http_context(|_, _| Box::new(PrimeAuthorizer));
}}

struct PrimeAuthorizer;

impl Context for PrimeAuthorizer {}

impl HttpContext for PrimeAuthorizer {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let _names = self.get_http_request_headers().len();
        match self.get_http_request_header("token").map(|t| t.parse::<u64>()) {
            Some(Ok(token)) if is_prime(token) => Action::Continue,
            _ => {
                self.send_http_response(403, vec![], Some(b"Access forbidden.\n"));
                Action::Pause
            }
        }
    }
}

fn is_prime(n: u64) -> bool {
    n > 1 && (2..).take_while(|d| d * d <= n).all(|d| n % d != 0)
}
