//! Who is at the other end: the peer's address, or what a proxy that the operator trusts says of it; and how many connections
//! there are from each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::HeaderMap;

use crate::config::Prefix;

/// What proxies name their client in, the nearest one last.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// Who shares a budget: one address of version 4, or the 64 bits of version 6 that one subscriber is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network(IpAddr);

impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => Self(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
        }
    }
}

/// Who a request comes from. The header counts only as far as proxies of ours wrote it: of what it lists, the last one that is
/// none of them. Whoever else sends it is not believed.
pub(crate) fn client(peer: IpAddr, headers: &HeaderMap, proxies: &[Prefix]) -> Network {
    let is_proxy = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    if !is_proxy(peer) {
        return peer.into();
    }
    let listed = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let listed: Vec<&str> = listed.flat_map(|value| value.split(',')).map(str::trim).collect();
    // The last one that can be read stands before what cannot: nothing before that was written by a proxy of ours.
    let known = listed.into_iter().rev().map_while(|address| address.parse().ok());
    let mut nearest = peer;
    for address in known {
        nearest = address;
        if !is_proxy(address) {
            break;
        }
    }
    nearest.into()
}

/// How many connections each has.
#[derive(Debug)]
pub(crate) struct Crowd {
    most: u32,
    present: Mutex<HashMap<Network, u32>>,
}

/// A place in the crowd, given back when dropped.
#[derive(Debug)]
pub(crate) struct Present {
    crowd: Arc<Crowd>,
    who: Network,
}

impl Crowd {
    pub(crate) fn new(most: u32) -> Arc<Self> {
        Arc::new(Self { most, present: Mutex::default() })
    }

    /// One more; nothing if there are as many already as may be.
    pub(crate) fn enter(self: &Arc<Self>, who: Network) -> Option<Present> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        let count = present.entry(who).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Present { crowd: Arc::clone(self), who })
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let mut present = self.crowd.present.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = present.get_mut(&self.who) {
            *count -= 1;
            if *count == 0 {
                present.remove(&self.who);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn seen(peer: &str, forwarded: &[&str], proxies: &str) -> Network {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let proxies: Vec<Prefix> = proxies.split(',').map(|proxy| proxy.parse().unwrap()).collect();
        client(address(peer), &headers, &proxies)
    }

    #[test]
    fn a_subscriber_has_one_budget_whatever_its_address_of_version_six() {
        let of = |text| Network::from(address(text));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }

    #[test]
    fn only_a_trusted_proxy_says_who_its_client_is() {
        let proxy = "10.0.0.0/8";
        assert_eq!(seen("192.0.2.1", &["198.51.100.7"], proxy), address("192.0.2.1").into());
        assert_eq!(seen("10.0.0.1", &["198.51.100.7"], proxy), address("198.51.100.7").into());
        // What the client made up stands before what the proxy wrote.
        assert_eq!(seen("10.0.0.1", &["203.0.113.9, 198.51.100.7"], proxy), address("198.51.100.7").into());
        assert_eq!(seen("10.0.0.1", &["203.0.113.9", "198.51.100.7, 10.2.0.2"], proxy), address("198.51.100.7").into());
        assert_eq!(seen("10.0.0.1", &["198.51.100.7, nonsense"], proxy), address("10.0.0.1").into());
        assert_eq!(seen("10.0.0.1", &["nonsense, 198.51.100.7"], proxy), address("198.51.100.7").into());
        assert_eq!(seen("10.0.0.1", &[], proxy), address("10.0.0.1").into());
    }

    #[test]
    fn places_are_given_back() {
        let crowd = Crowd::new(2);
        let (one, other) = (Network::from(address("192.0.2.1")), Network::from(address("192.0.2.2")));
        let first = crowd.enter(one).unwrap();
        let _second = crowd.enter(one).unwrap();
        assert!(crowd.enter(one).is_none());
        assert!(crowd.enter(other).is_some());
        drop(first);
        assert!(crowd.enter(one).is_some());
        assert_eq!(crowd.present.lock().unwrap().len(), 1, "who has none is forgotten");
    }
}
