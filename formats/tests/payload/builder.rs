//! Builds payloads byte by byte, with a protobuf encoder of its own: what these tests say about the
//! format does not depend on the code under test.

use rsa::pkcs8::DecodePrivateKey as _;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest as _, Sha256};

pub(crate) const KEY: &str = include_str!("fixtures/test-key.pem");
pub(crate) const OTHER_KEY: &str = include_str!("fixtures/other-test-key.pem");
pub(crate) const HOLE: u64 = u64::MAX;
pub(crate) const BLOCK: usize = 4096;

pub(crate) const REPLACE: u64 = 0;
pub(crate) const REPLACE_BZ: u64 = 1;
pub(crate) const MOVE: u64 = 2;
pub(crate) const BSDIFF: u64 = 3;

/// A protobuf message.
#[derive(Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    pub(crate) fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value > 127 {
            self.0.push(value as u8 | 128);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// An operation, as wrong as one likes.
#[derive(Clone, Default)]
pub(crate) struct Op {
    pub(crate) kind: u64,
    pub(crate) data: Vec<u8>,
    pub(crate) src: Vec<(u64, u64)>,
    pub(crate) src_length: Option<u64>,
    pub(crate) dst: Vec<(u64, u64)>,
    pub(crate) dst_length: Option<u64>,
    /// Added to the offset of the data.
    pub(crate) shift: u64,
    /// Announced instead of the true length.
    pub(crate) length: Option<u64>,
    pub(crate) hash: Option<Vec<u8>>,
}

impl Op {
    pub(crate) fn replace(data: &[u8], start: u64, blocks: u64) -> Self {
        Self { kind: REPLACE, data: data.into(), dst: vec![(start, blocks)], ..Self::default() }
    }

    pub(crate) fn replace_bz(data: &[u8], start: u64, blocks: u64) -> Self {
        Self { kind: REPLACE_BZ, ..Self::replace(&bzip2(data), start, blocks) }
    }

    pub(crate) fn copy(src: &[(u64, u64)], dst: &[(u64, u64)]) -> Self {
        Self { kind: MOVE, src: src.into(), dst: dst.into(), ..Self::default() }
    }

    pub(crate) fn encode(&self, offset: u64) -> Message {
        let mut message = Message::default().number(1, self.kind);
        if !self.data.is_empty() {
            let hash = self.hash.clone().unwrap_or_else(|| Sha256::digest(&self.data).to_vec());
            let length = self.length.unwrap_or(self.data.len() as u64);
            message = message.number(2, offset + self.shift).number(3, length).bytes(8, &hash);
        }
        for (field, extents) in [(4, &self.src), (6, &self.dst)] {
            for &(start, blocks) in extents {
                let extent = Message::default().number(1, start).number(2, blocks);
                message = message.bytes(field, &extent.0);
            }
        }
        for (field, length) in [(5, self.src_length), (7, self.dst_length)] {
            if let Some(length) = length {
                message = message.number(field, length);
            }
        }
        message
    }
}

pub(crate) fn bzip2(data: &[u8]) -> Vec<u8> {
    use std::io::Read as _;
    let mut compressed = Vec::new();
    bzip2::read::BzEncoder::new(data, bzip2::Compression::best())
        .read_to_end(&mut compressed)
        .unwrap();
    compressed
}

pub(crate) fn info(image: &[u8]) -> Message {
    Message::default().number(1, image.len() as u64).bytes(2, &Sha256::digest(image))
}

/// A payload in the making.
#[derive(Clone, Default)]
pub(crate) struct Builder {
    pub(crate) manifest: Message,
    pub(crate) data: Vec<u8>,
}

impl Builder {
    pub(crate) fn partition(ops: &[Op], old: Option<&[u8]>, new: &[u8]) -> Self {
        let mut builder = Self::default();
        for op in ops {
            let operation = builder.operation(op);
            builder.manifest = builder.manifest.bytes(1, &operation);
        }
        if let Some(old) = old {
            builder.manifest = builder.manifest.bytes(8, &info(old).0);
        }
        builder.manifest = builder.manifest.bytes(9, &info(new).0);
        builder
    }

    pub(crate) fn procedure(
        mut self,
        kind: u64,
        ops: &[Op],
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Self {
        let mut procedure = Message::default().number(1, kind);
        for op in ops {
            let operation = self.operation(op);
            procedure = procedure.bytes(2, &operation);
        }
        if let Some(old) = old {
            procedure = procedure.bytes(3, &info(old).0);
        }
        procedure = procedure.bytes(4, &info(new).0);
        self.manifest = self.manifest.bytes(10, &procedure.0);
        self
    }

    fn operation(&mut self, op: &Op) -> Vec<u8> {
        let message = op.encode(self.data.len() as u64);
        self.data.extend(&op.data);
        message.0
    }

    pub(crate) fn unsigned(&self) -> Vec<u8> {
        let mut payload = b"CrAU".to_vec();
        payload.extend(1_u64.to_be_bytes());
        payload.extend((self.manifest.0.len() as u64).to_be_bytes());
        payload.extend(&self.manifest.0);
        payload.extend(&self.data);
        payload
    }

    /// Signs with keys for these versions of the client.
    pub(crate) fn signed(&self, keys: &[(u64, &str)]) -> Vec<u8> {
        let message = |digest: &[u8]| {
            let signatures = keys.iter().map(|&(version, key)| {
                Message::default().number(1, version).bytes(2, &sign(key, digest))
            });
            signatures.fold(Message::default(), |all, one| all.bytes(1, &one.0)).0
        };
        let mut builder = self.clone();
        let size = message(&[0; 32]).len() as u64;
        builder.manifest = builder.manifest.number(4, self.data.len() as u64).number(5, size);
        let mut payload = builder.unsigned();
        let signatures = message(&Sha256::digest(&payload));
        payload.extend(signatures);
        payload
    }
}

fn sign(key: &str, digest: &[u8]) -> Vec<u8> {
    let key = RsaPrivateKey::from_pkcs8_pem(key).unwrap();
    key.sign(Pkcs1v15Sign::new::<Sha256>(), digest).unwrap()
}

/// Bytes that do not compress, the same each time.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let step = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    std::iter::repeat_with(step).take(length).collect()
}

/// Blocks, each filled with its number.
pub(crate) fn blocks(numbers: &[u8]) -> Vec<u8> {
    numbers.iter().flat_map(|number| [*number; BLOCK]).collect()
}
