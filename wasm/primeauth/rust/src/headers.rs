//! The headers of a request as the proxy hands them over.

/// Walks a serialized header map in place: a count, the sizes of each name and
/// value, then the names and values, each followed by a NUL
/// (<https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>).
/// Values are bytes: HTTP allows some that are no UTF-8 text.
pub struct Headers<'a> {
    sizes: std::slice::ChunksExact<'a, u8>, // of a name and a value each
    data: &'a [u8],
}

impl<'a> Headers<'a> {
    pub fn new(map: &'a [u8]) -> Headers<'a> {
        let (sizes, data) = Headers::split(map).unwrap_or_default();
        Headers {
            sizes: sizes.chunks_exact(8),
            data,
        }
    }

    fn split(map: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (count, rest) = number(map)?;
        rest.split_at_checked(count.checked_mul(8)?)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let sizes = self.sizes.next()?;
        let (name, rest) = number(sizes)?;
        let (value, _) = number(rest)?;
        let at = name.checked_add(1)?;
        let end = at.checked_add(value)?;
        let header = self.data.get(..=end)?;
        self.data = &self.data[end + 1..];
        Some((&header[..name], &header[at..end]))
    }
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*first) as usize, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair<'a> = (&'a [u8], &'a [u8]);

    fn serialize(pairs: &[Pair]) -> Vec<u8> {
        let mut map = (pairs.len() as u32).to_le_bytes().to_vec();
        for part in pairs.iter().flat_map(|p| [p.0, p.1]) {
            map.extend((part.len() as u32).to_le_bytes());
        }
        for part in pairs.iter().flat_map(|p| [p.0, p.1]) {
            map.extend(part);
            map.push(0);
        }
        map
    }

    #[test]
    fn whole_maps() {
        let pairs: [Pair; 3] = [(b":path", b"/"), (b"token", b""), (b"x", b"7\xff")];
        for n in 0..=pairs.len() {
            let map = serialize(&pairs[..n]);
            assert_eq!(Headers::new(&map).collect::<Vec<_>>(), pairs[..n]);
        }
        assert_eq!(Headers::new(&[]).count(), 0);
    }

    #[test]
    fn a_cut_map_ends_early() {
        let map = serialize(&[(b":path", b"/"), (b"token", b"7")]);
        for end in 0..map.len() {
            assert!(Headers::new(&map[..end]).count() < 2);
        }
        assert_eq!(Headers::new(&[255; 64]).count(), 0);
    }
}
