//! Files with keys and signatures, taken apart.

use std::io::{BufReader, Read as _};

use pgp::armor::{BlockType, Dearmor};
use pgp::errors::Error;
use pgp::packet::{Packet, PacketParser};

/// Begins armored files and blocks in them.
const ARMOR: &str = "-----BEGIN PGP ";

/// Why a file can't be taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// What it is instead.
    Other(&'static str),
    /// A secret key.
    Secret,
    /// What is wrong, in words.
    Damaged(String),
}

/// The packets of a file, armored or not. Armored blocks may follow each other, if all are of that type.
pub(super) fn packets(bytes: &[u8], wanted: BlockType) -> Result<Vec<Packet>, Refused> {
    // In binary files the first bit of each packet is set, and text has none such.
    if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        return parsed(bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    let Some(first) = text.find(ARMOR) else {
        return Err(other_type(&text));
    };
    let mut all = Vec::new();
    let mut rest = &text[first..];
    while !rest.is_empty() {
        let end = rest[ARMOR.len()..].find(ARMOR).map_or(rest.len(), |at| at + ARMOR.len());
        let block;
        (block, rest) = rest.split_at(end);
        match &block[ARMOR.len()..] {
            name if name.starts_with("PRIVATE KEY") => return Err(Refused::Secret),
            name if name.starts_with("SIGNED MESSAGE") => {
                return Err(Refused::Other("a text with its signature in it"));
            }
            name if name.starts_with(&wanted.to_string()["PGP ".len()..]) => {}
            name if name.starts_with("SIGNATURE") => {
                return Err(Refused::Other("an OpenPGP signature"));
            }
            name if name.starts_with("PUBLIC KEY") => {
                return Err(Refused::Other("an OpenPGP key"));
            }
            _ => return Err(Refused::Other("an OpenPGP message")),
        }
        // Without its last line a block may be cut off anywhere.
        if !block.contains("-----END PGP ") {
            return Err(Refused::Damaged("its end is missing".to_owned()));
        }
        let mut binary = Vec::new();
        Dearmor::new(BufReader::new(block.as_bytes()))
            .read_to_end(&mut binary)
            .map_err(|_| Refused::Damaged("its ASCII armor is broken".to_owned()))?;
        all.append(&mut parsed(&binary)?);
    }
    Ok(all)
}

/// Packets that are not understood are left out, such as those of newer versions.
fn parsed(bytes: &[u8]) -> Result<Vec<Packet>, Refused> {
    let mut all = Vec::new();
    for packet in PacketParser::new(bytes) {
        match packet {
            Ok(Packet::SecretKey(_) | Packet::SecretSubkey(_)) => return Err(Refused::Secret),
            Ok(packet) => all.push(packet),
            Err(Error::Unsupported { .. }) => {}
            Err(Error::InvalidPacketContent { source })
                if matches!(*source, Error::Unsupported { .. }) => {}
            Err(_) => {
                let problem = "it is cut off, or no sequence of OpenPGP packets";
                return Err(Refused::Damaged(problem.to_owned()));
            }
        }
    }
    Ok(all)
}

fn other_type(text: &str) -> Refused {
    let first = text.trim_start();
    let known: [(&[&str], &str); 5] = [
        (&["-----BEGIN OPENSSH", "ssh-", "ecdsa-sha2-", "sk-"], "an SSH key"),
        (&["-----BEGIN SSH SIGNATURE"], "an SSH signature"),
        (&["-----BEGIN "], "a PEM file, such as a certificate"),
        (&["untrusted comment:", "RW"], "one of minisign or signify"),
        (&["<"], "a web page"),
    ];
    let found =
        known.iter().find(|(starts, _)| starts.iter().any(|start| first.starts_with(start)));
    Refused::Other(found.map_or("something else", |(_, what)| what))
}
