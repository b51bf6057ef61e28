/// Kind, flags, number, payload.
pub type Frame = (u8, u8, u32, Vec<u8>);

pub fn message(payload: &[u8]) -> Vec<u8> {
    [&[0][..], &(payload.len() as u32).to_be_bytes(), payload].concat()
}
