//! Listening sockets.

use std::net::{IpAddr, Ipv6Addr};

use super::Guest;
use crate::{failure::Result, profile::Protocol};

/// A socket that takes connections or datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Protocol.
    pub protocol: Protocol,
    /// Local address; unspecified (`::` or `0.0.0.0`) if it takes what comes from anywhere.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// The program behind it, if `ss` knows it.
    pub program: String,
}

impl std::fmt::Display for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        let address = std::net::SocketAddr::from((self.address, self.port));
        write!(f, "{protocol} {address} ({})", self.program)
    }
}

impl Guest {
    /// Every listening TCP and unconnected UDP socket.
    pub async fn listeners(&self) -> Result<Vec<Listener>> {
        Ok(parse_listeners(&self.sudo("ss -H -l -n -t -u -p").await?))
    }
}

fn parse_listeners(table: &str) -> Vec<Listener> {
    table.lines().filter_map(parse_listener).collect()
}

/// The columns are protocol, state, two queues, local address and port, peer, and the programs.
fn parse_listener(line: &str) -> Option<Listener> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let [protocol, _, _, _, local, _, programs @ ..] = columns.as_slice() else { return None };
    let (address, port) = local.rsplit_once(':')?;
    // `127.0.0.53%lo`, `[::]`, and `*` for both families.
    let address = address.split('%').next().unwrap_or(address).trim_matches(['[', ']']);
    let address = match address {
        "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        address => address.parse().ok()?,
    };
    let protocol = match *protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let program = programs.first().and_then(|all| all.split('"').nth(1)).unwrap_or("unknown");
    Some(Listener { protocol, address, port: port.parse().ok()?, program: program.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_ss() {
        let table = "udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:((\"systemd-resolve\",pid=1,fd=13))\n\
                     udp UNCONN 0 0 10.0.2.15%enp0s2:68 0.0.0.0:* users:((\"systemd-network\",pid=2,fd=1))\n\
                     tcp LISTEN 0 4096 *:22 *:* users:((\"systemd\",pid=1,fd=40))\n\
                     tcp LISTEN 0 4096 [::1]:631 [::]:*\n";
        let listeners = parse_listeners(table);
        let shown: Vec<_> = listeners.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "udp 127.0.0.53:53 (systemd-resolve)",
                "udp 10.0.2.15:68 (systemd-network)",
                "tcp [::]:22 (systemd)",
                "tcp [::1]:631 (unknown)"
            ]
        );
    }
}
