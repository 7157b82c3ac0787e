//! A reader of JSON that accepts what the Go twin's does
//! (<https://github.com/valyala/fastjson>), so that one configuration means the
//! same to both. Written out because the smallest crates for it make the module
//! a third larger.

/// A JSON value; strings are unescaped, numbers as they stand in the text.
#[derive(Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a [u8]),
    String(Vec<u8>),
    Array(Vec<Value<'a>>),
    Object(Vec<(Vec<u8>, Value<'a>)>), // in the order of the text, repeated keys too
}

/// How deep values may nest, so that none exhausts the stack.
const MAX_DEPTH: usize = 300;

/// Reads a text that is one value.
pub fn parse(text: &[u8]) -> Option<Value<'_>> {
    let mut reader = Reader { rest: text };
    reader.skip_space();
    let value = reader.value(1)?;
    reader.skip_space();
    reader.rest.is_empty().then_some(value)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        while let [b' ' | b'\t' | b'\n' | b'\r', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }

    /// Takes a byte off, if it is what comes next after white space.
    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(word.as_bytes())?;
        Some(())
    }

    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        if depth > MAX_DEPTH {
            return None;
        }
        match self.rest.first()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string().map(Value::String),
            b't' => self.word("true").map(|()| Value::Bool(true)),
            b'f' => self.word("false").map(|()| Value::Bool(false)),
            b'n' if self.rest.starts_with(b"null") => self.word("null").map(|()| Value::Null),
            _ => self.number().map(Value::Number),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value<'a>> {
        let mut members = Vec::new();
        self.list(b'{', b'}', |parser| {
            let key = parser.string()?;
            if !parser.eat(b':') {
                return None;
            }
            parser.skip_space();
            members.push((key, parser.value(depth + 1)?));
            Some(())
        })?;
        Some(Value::Object(members))
    }

    fn array(&mut self, depth: usize) -> Option<Value<'a>> {
        let mut items = Vec::new();
        self.list(b'[', b']', |parser| {
            items.push(parser.value(depth + 1)?);
            Some(())
        })?;
        Some(Value::Array(items))
    }

    /// What is between two brackets, with commas between.
    fn list(&mut self, open: u8, close: u8, mut item: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.eat(open);
        if self.eat(close) {
            return Some(());
        }
        loop {
            self.skip_space();
            item(self)?;
            if self.eat(close) {
                return Some(());
            }
            if !self.eat(b',') {
                return None;
            }
        }
    }

    /// Anything made of a number's bytes: what it is worth is for its reader.
    fn number(&mut self) -> Option<&'a [u8]> {
        let in_number = |c: &u8| matches!(c, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
        let text = self.rest;
        let mut end = text
            .iter()
            .position(|c| !in_number(c))
            .unwrap_or(text.len());
        let bare = end == 0 || end == 1 && matches!(text[0], b'-' | b'+');
        if bare && end < text.len() {
            let name = text.get(end..end + 3)?;
            if !name.eq_ignore_ascii_case(b"inf") && !name.eq_ignore_ascii_case(b"nan") {
                return None;
            }
            end += 3;
        }
        let (number, rest) = text.split_at(end);
        self.rest = rest;
        Some(number)
    }

    fn string(&mut self) -> Option<Vec<u8>> {
        self.word("\"")?;
        let mut out = Vec::new();
        loop {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            match byte {
                b'"' => return Some(out),
                b'\\' => self.escape(&mut out)?,
                _ => out.push(byte),
            }
        }
    }

    /// An unknown escape stands for itself.
    fn escape(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => return self.unicode(out),
            _ => {
                out.push(b'\\');
                byte
            }
        };
        out.push(plain);
        Some(())
    }

    /// A \u escape stands for itself, unless it is a character's number or a
    /// pair of surrogates.
    fn unicode(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let text = self.rest;
        let Some(unit) = hex(text) else {
            out.extend(b"\\u");
            return Some(());
        };
        self.rest = &text[4..];
        if let Some(c) = char::from_u32(unit) {
            push(out, c);
        } else if let Some(next) = self.rest.strip_prefix(b"\\u").and_then(hex) {
            self.rest = &text[10..];
            push(out, surrogates(unit, next));
        } else {
            out.extend(b"\\u");
            out.extend(&text[..4]);
        }
        Some(())
    }
}

/// The number of four hexadecimal digits.
fn hex(text: &[u8]) -> Option<u32> {
    let digit = |n, c: &u8| Some(n << 4 | char::from(*c).to_digit(16)?);
    text.get(..4)?.iter().try_fold(0, digit)
}

fn surrogates(high: u32, low: u32) -> char {
    match (high, low) {
        (0xd800..=0xdbff, 0xdc00..=0xdfff) => {
            char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
        }
        _ => None,
    }
    .unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Option<Value<'_>> {
        Some(Value::String(text.into()))
    }

    #[test]
    fn values() {
        for (text, want) in [
            ("null", Some(Value::Null)),
            (" true\r\n", Some(Value::Bool(true))),
            ("false", Some(Value::Bool(false))),
            ("-4.03e+2", Some(Value::Number(b"-4.03e+2"))),
            ("nAn", Some(Value::Number(b"nAn"))),
            ("-Inf", Some(Value::Number(b"-Inf"))),
            ("\"a\"", string("a")),
            ("[]", Some(Value::Array(vec![]))),
            (
                "[ 1 , [ ] ]",
                Some(Value::Array(vec![
                    Value::Number(b"1"),
                    Value::Array(vec![]),
                ])),
            ),
            ("{ }", Some(Value::Object(vec![]))),
            (
                "{ \"a\" : 1 , \"a\":null}",
                Some(Value::Object(vec![
                    (b"a".to_vec(), Value::Number(b"1")),
                    (b"a".to_vec(), Value::Null),
                ])),
            ),
        ] {
            assert_eq!(parse(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn strings() {
        for (text, want) in [
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00e9\u20AC""#, "Aé€"),
            (r#""\ud83d\ude00""#, "😀"),
            (r#""\ud83d\u0041""#, "\u{fffd}"), // no pair, yet both are taken
            (r#""\ud83dx""#, r"\ud83dx"),
            (r#""\u12""#, r"\u12"),
            (r#""\x\u00g0""#, r"\x\u00g0"),
            ("\"\n٧\"", "\n٧"),
        ] {
            assert_eq!(parse(text.as_bytes()), string(want), "{text}");
        }
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "nul",
            "tru",
            "x",
            "-x",
            "\"",
            "\"\\\"",
            "[",
            "[1",
            "[1,]",
            "[1 2]",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "{} {}",
            "1 2",
            "\u{a0}1",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn depth() {
        let nested = |n| ["[".repeat(n), "]".repeat(n)].concat();
        assert!(parse(nested(300).as_bytes()).is_some());
        assert!(parse(nested(301).as_bytes()).is_none());
        assert!(parse("[".repeat(1 << 20).as_bytes()).is_none());
    }
}
