//! Bytes as lower-case hex digits, without `fmt`, because every request writes its trace and span ids several
//! times; and read from such digits.

/// Writes bytes as two digits each, as far as there is room.
pub fn write(into: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in into.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

/// Bytes as text.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let mut digits = vec![0; bytes.len() * 2];
    write(&mut digits, bytes);
    String::from_utf8(digits).unwrap_or_default()
}

/// The bytes that a text of digits, small or large, stands for; `None` where it is no such text.
#[must_use]
pub fn read(text: &str) -> Option<Vec<u8>> {
    let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else_is() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(read(&text(&bytes)), Some(bytes));
        assert_eq!(read("0aFf"), Some(vec![10, 255]));
        assert_eq!(read(""), Some(Vec::new()));
        for bad in ["0", "0g", "+1", "é", " 1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
