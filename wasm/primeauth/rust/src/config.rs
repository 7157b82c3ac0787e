//! The plugin configuration.

use crate::json::{self, Value};

/// The plugin configuration, a JSON object. Each key is optional; an unknown
/// one is refused, so that a misspelt name can't weaken the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub header: String,       // the request header that holds the token, in lower case
    pub denied_status: u32,   // the HTTP status of a denied request
    pub denied_body: Vec<u8>, // and its body
    pub remove_header: bool,  // take the token off before the service sees the request
    pub allow_paths: Vec<Vec<u8>>, // paths that need no token, compared without the query
    pub response_header: String, // a response header that names the filter; "" for none
}

impl Default for Config {
    fn default() -> Config {
        Config {
            header: "token".into(),
            denied_status: 403,
            denied_body: b"Access forbidden.\n".to_vec(),
            remove_header: false,
            allow_paths: Vec::new(),
            response_header: String::new(),
        }
    }
}

impl Config {
    /// Reads a plugin configuration; an empty one means the defaults. Its
    /// errors name keys and rules, never values.
    pub fn parse(data: &[u8]) -> Result<Config, String> {
        let mut config = Config::default();
        if blank(data) {
            return Ok(config);
        }
        match json::parse(data) {
            None => return Err("plugin configuration: not valid JSON".into()),
            Some(Value::Object(members)) => {
                for (key, value) in members {
                    config.set(&key, value).map_err(|e| error(&key, e))?;
                }
            }
            Some(_) => return Err("plugin configuration: not a JSON object".into()),
        }
        Ok(config)
    }

    /// Takes one key of the configuration.
    fn set(&mut self, key: &[u8], value: Value) -> Result<(), &'static str> {
        match key {
            b"header" => self.header = header_name(value)?,
            b"denied_status" => {
                self.denied_status = status(value).ok_or("not a number from 400 to 599")?;
            }
            b"denied_body" => match value {
                Value::String(body) => self.denied_body = body,
                _ => return Err("not a string"),
            },
            b"remove_header" => match value {
                Value::Bool(remove) => self.remove_header = remove,
                _ => return Err("not true or false"),
            },
            b"allow_paths" => self.allow_paths = paths(value)?,
            b"response_header" => self.response_header = header_name(value)?,
            _ => return Err("unknown key"),
        }
        Ok(())
    }

    /// Says whether a path needs no token. Paths are compared as a whole: a
    /// prefix would let /public/../private in.
    pub fn allows(&self, path: &[u8]) -> bool {
        self.allow_paths.iter().any(|allowed| allowed == path)
    }
}

fn error(key: &[u8], rule: &str) -> String {
    let mut text = String::from("plugin configuration: ");
    text += std::str::from_utf8(key).unwrap_or_default();
    text += ": ";
    text += rule;
    text
}

/// Says whether there is nothing but white space.
fn blank(data: &[u8]) -> bool {
    std::str::from_utf8(data).is_ok_and(|text| text.chars().all(char::is_whitespace))
}

/// Reads an HTTP header's name, in lower case.
fn header_name(value: Value) -> Result<String, &'static str> {
    match value {
        Value::String(name) if is_header_name(&name) => Ok(name
            .iter()
            .map(|c| char::from(c.to_ascii_lowercase()))
            .collect()),
        _ => Err("not an HTTP header name"),
    }
}

/// Says whether name is a token of RFC 9110 section 5.6.2.
fn is_header_name(name: &[u8]) -> bool {
    let allowed = |c: &u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(c);
    !name.is_empty() && name.iter().all(allowed)
}

/// Reads a status of a denied request: digits only, so neither 403.0 nor 4.03e2.
fn status(value: Value) -> Option<u32> {
    let Value::Number(digits) = value else {
        return None;
    };
    let mut n = 0u32;
    for c in digits {
        n = n
            .saturating_mul(10)
            .saturating_add(char::from(*c).to_digit(10)?);
    }
    (400..600).contains(&n).then_some(n)
}

/// Reads a list of absolute paths.
fn paths(value: Value) -> Result<Vec<Vec<u8>>, &'static str> {
    let Value::Array(items) = value else {
        return Err("not a list of paths");
    };
    let path = |item| match item {
        Value::String(path) if is_path(&path) => Ok(path),
        _ => Err("not a list of absolute paths without a query"),
    };
    items.into_iter().map(path).collect()
}

fn is_path(path: &[u8]) -> bool {
    path.starts_with(b"/") && !path.iter().any(|c| b"?#".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        type Change = fn(&mut Config);
        let cases: &[(&str, Change)] = &[
            ("", |_| ()),
            (" \n", |_| ()),
            ("\u{b}\u{c}\u{a0}\u{2003}", |_| ()),
            ("{}", |_| ()),
            (r#"{"header": "X-Token"}"#, |c| c.header = "x-token".into()),
            (r#"{"denied_status": 401}"#, |c| c.denied_status = 401),
            (r#"{"denied_status": 0000000000000000000401}"#, |c| {
                c.denied_status = 401;
            }),
            (r#"{"header":"a!#~.0","denied_status":599}"#, |c| {
                c.header = "a!#~.0".into();
                c.denied_status = 599;
            }),
            (r#"{"denied_body": "no\n"}"#, |c| {
                c.denied_body = b"no\n".to_vec();
            }),
            (r#"{"remove_header": true}"#, |c| c.remove_header = true),
            (r#"{"allow_paths": ["/healthz", "/"]}"#, |c| {
                c.allow_paths = vec![b"/healthz".to_vec(), b"/".to_vec()];
            }),
            (r#"{"response_header": "X-Filter"}"#, |c| {
                c.response_header = "x-filter".into();
            }),
            // The last of a repeated key counts.
            (r#"{"\u0068eader": "a", "header": "b"}"#, |c| {
                c.header = "b".into();
            }),
        ];
        for (text, change) in cases {
            let mut want = Config::default();
            change(&mut want);
            assert_eq!(Config::parse(text.as_bytes()), Ok(want), "{text}");
        }
    }
}
