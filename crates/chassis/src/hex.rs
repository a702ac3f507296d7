//! Bytes as lower-case hex digits, without `fmt`, because every request writes its trace and span ids several
//! times.

/// Writes bytes as two digits each, as far as there is room.
pub fn write(into: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in into.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}
