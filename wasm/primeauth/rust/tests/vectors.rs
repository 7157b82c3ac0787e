//! ../vectors.yaml, which the Go filter's tests read as well.

use primeauth::config::Config;
use primeauth::decide::judge;
use yaml_rust2::{Yaml, YamlLoader};

fn read() -> Yaml {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../vectors.yaml");
    let text = std::fs::read_to_string(path).expect(path);
    YamlLoader::load_from_str(&text).expect(path).remove(0)
}

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// The requests of a vector; names in lower case, as a proxy hands them out.
fn requests(vector: &Yaml) -> Vec<Headers> {
    let text = |y: &Yaml| y.as_str().expect("a string").to_string();
    let times = vector["times"].as_i64().unwrap_or(1) as usize;
    match vector["tokens"].as_vec() {
        Some(tokens) => tokens
            .iter()
            .map(|t| vec![(b"token".to_vec(), text(t).repeat(times).into_bytes())])
            .collect(),
        None => vec![vector["headers"]
            .as_vec()
            .expect("tokens or headers")
            .iter()
            .map(|h| {
                (
                    text(&h[0]).to_lowercase().into_bytes(),
                    text(&h[1]).into_bytes(),
                )
            })
            .collect()],
    }
}

#[test]
fn answers() {
    let config = Config::default();
    let mut count = 0;
    for vector in read()["vectors"].as_vec().expect("vectors") {
        let want = (
            vector["answer"]["status"].as_i64(),
            vector["answer"]["body"].as_str(),
        );
        for headers in requests(vector) {
            let verdict = judge(&config, headers.iter().map(|(n, v)| (&n[..], &v[..])));
            let got = match verdict.denied() {
                false => (Some(200), Some("Welcome to WASM land\n")),
                true => (
                    Some(i64::from(config.denied_status)),
                    std::str::from_utf8(&config.denied_body).ok(),
                ),
            };
            assert_eq!(got, want, "{:?}: {headers:.80?}", vector["what"]);
            count += 1;
        }
    }
    assert!(count > 100, "only {count} vectors");
}

#[test]
fn refused_configurations() {
    for refusal in read()["refused"].as_vec().expect("refused") {
        let config = refusal["config"].as_str().expect("config");
        let want = refusal["reason"].as_str().expect("reason");
        let got = Config::parse(config.as_bytes()).expect_err(config);
        assert_eq!(got, format!("plugin configuration: {want}"), "{config}");
    }
}
