//! What a signature proves, and which signatures are refused.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use alloy_primitives::{Address, B256, U256, address, keccak256};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use xos_auth::{AuthError, Domain, Key, Typed, parse_signature, recover, signature_bytes, verify};
use xos_types::{
    AccountId, Cancel, CancelAll, Lots, MarketId, Nonce, Order, OrderKind, Ppm, Side, Signature, Ticks, TimeMs,
    Withdraw,
};

const GROUP: Address = address!("5fbdb2315678afecb367f032d93f642f64180aa3");
const ORDER: U256 = U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX]);

fn domain() -> Domain {
    Domain::new(31337, GROUP)
}

fn key(seed: u8) -> Key {
    Key::from_bytes([seed; 32]).unwrap()
}

fn order() -> Order {
    Order {
        account: AccountId(7),
        market: MarketId(258),
        side: Side::Buy,
        kind: OrderKind::GoodTillCancelled,
        reduce_only: false,
        size: Lots(100),
        price: Ticks(505),
        nonce: Nonce(1),
        expiry: TimeMs(0),
        max_fee: Ppm(1000),
        builder: 0,
        builder_fee: Ppm(0),
    }
}

fn withdraw() -> Withdraw {
    Withdraw { account: AccountId(7), token: GROUP, amount: 5, nonce: Nonce(2), expiry: TimeMs(9) }
}

/// `r ‖ s ‖ v` of a signature, as numbers.
fn parts(signature: &Signature) -> (U256, U256, u8) {
    let odd = signature.vs[0] >> 7;
    let mut s = signature.vs;
    s[0] &= 0x7f;
    (U256::from_be_bytes(signature.r), U256::from_be_bytes(s), 27 + odd)
}

fn long_form(r: U256, s: U256, v: u8) -> Vec<u8> {
    [&r.to_be_bytes::<32>()[..], &s.to_be_bytes::<32>()[..], &[v]].concat()
}

fn every_change_changes_the_digest<T: Typed>(original: &T, changed: &[T]) {
    let domain = domain();
    let mut digests: Vec<B256> = changed.iter().map(|message| domain.digest(message)).collect();
    digests.push(domain.digest(original));
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), changed.len() + 1);
}

#[test]
fn every_field_of_an_order_is_signed() {
    let o = order();
    every_change_changes_the_digest(
        &o,
        &[
            Order { account: AccountId(8), ..o },
            Order { market: MarketId(259), ..o },
            Order { side: Side::Sell, ..o },
            Order { kind: OrderKind::PostOnly, ..o },
            Order { reduce_only: true, ..o },
            Order { size: Lots(101), ..o },
            Order { price: Ticks(506), ..o },
            Order { nonce: Nonce(2), ..o },
            Order { expiry: TimeMs(1), ..o },
            Order { max_fee: Ppm(1001), ..o },
            Order { builder: 1, ..o },
            Order { builder_fee: Ppm(1), ..o },
        ],
    );
}

#[test]
fn every_field_of_the_other_messages_is_signed() {
    let w = withdraw();
    every_change_changes_the_digest(
        &w,
        &[
            Withdraw { account: AccountId(8), ..w },
            Withdraw { token: Address::ZERO, ..w },
            Withdraw { amount: 6, ..w },
            Withdraw { nonce: Nonce(3), ..w },
            Withdraw { expiry: TimeMs(10), ..w },
        ],
    );
    let cancel = Cancel { account: AccountId(1), nonce: Nonce(2) };
    every_change_changes_the_digest(
        &cancel,
        &[Cancel { account: AccountId(2), ..cancel }, Cancel { nonce: Nonce(3), ..cancel }],
    );
    let all = CancelAll { account: AccountId(1), below: Nonce(2) };
    every_change_changes_the_digest(
        &all,
        &[CancelAll { account: AccountId(2), ..all }, CancelAll { below: Nonce(3), ..all }],
    );
    // Same words, another type.
    assert_ne!(domain().digest(&cancel), domain().digest(&all));
}

#[test]
fn a_signature_is_good_for_one_group_on_one_chain_only() {
    let signed = key(1).sign_typed(&domain(), order());
    assert_eq!(verify(&domain(), signed.message, signed.signature).unwrap().signer, key(1).address());
    for other in [Domain::new(196, GROUP), Domain::new(31337, Address::repeat_byte(1))] {
        let stray = verify(&other, signed.message, signed.signature);
        assert_ne!(stray.map(|signed| signed.signer), Ok(key(1).address()));
    }
}

#[test]
fn both_wire_forms_are_one_signature() {
    let signature = key(3).sign(keccak256("message"));
    let (r, s, v) = parts(&signature);
    assert_eq!(parse_signature(&signature_bytes(&signature)), Ok(signature));
    assert_eq!(parse_signature(&long_form(r, s, v)), Ok(signature));
    assert_eq!(parse_signature(&long_form(r, s, v - 27)), Ok(signature));
}

#[test]
fn the_malleable_twin_is_refused() {
    let digest = keccak256("message");
    // Half of all keys give a twin that ERC-2098 can express at all; the others fail in the long form.
    for seed in 1..=16 {
        let signature = key(seed).sign(digest);
        let (r, s, v) = parts(&signature);
        assert_eq!(parse_signature(&long_form(r, ORDER - s, 55 - v)), Err(AuthError::HighS));
    }
    // A high `s` below 2^255, which fits into `vs`.
    let high: U256 = (ORDER >> 1) + U256::from(1);
    let mut vs = high.to_be_bytes::<32>();
    assert_eq!(vs[0] & 0x80, 0);
    let signature = Signature { r: key(1).sign(digest).r, vs };
    assert_eq!(recover(digest, &signature), Err(AuthError::HighS));
    assert_eq!(parse_signature(&signature_bytes(&signature)), Err(AuthError::HighS));
    // The highest low `s` is not refused for its size.
    vs = (ORDER >> 1_usize).to_be_bytes::<32>();
    assert_ne!(parse_signature(&signature_bytes(&Signature { r: signature.r, vs })), Err(AuthError::HighS));
}

#[test]
fn the_other_parity_is_another_signer() {
    let digest = keccak256("message");
    let mut signature = key(1).sign(digest);
    signature.vs[0] ^= 0x80;
    assert_ne!(recover(digest, &signature), Ok(key(1).address()));
}

#[test]
fn malformed_signatures_say_what_is_wrong() {
    let digest = keccak256("message");
    let signature = key(1).sign(digest);
    let (r, s, v) = parts(&signature);
    for length in [0, 1, 63, 66, 128] {
        assert_eq!(parse_signature(&vec![1; length]), Err(AuthError::WrongLength { got: length }));
    }
    for wrong in [2, 26, 29, 255] {
        assert_eq!(parse_signature(&long_form(r, s, wrong)), Err(AuthError::WrongV { got: wrong }));
    }
    let out_of_range = |scalar| Err::<Signature, _>(AuthError::ScalarOutOfRange { scalar });
    assert_eq!(parse_signature(&long_form(U256::ZERO, s, v)), out_of_range("r"));
    assert_eq!(parse_signature(&long_form(ORDER, s, v)), out_of_range("r"));
    assert_eq!(parse_signature(&long_form(r, U256::ZERO, v)), out_of_range("s"));
    assert_eq!(parse_signature(&long_form(r, ORDER, v)), out_of_range("s"));
    assert_eq!(recover(digest, &Signature::default()), Err(AuthError::ScalarOutOfRange { scalar: "r" }));
    // 5 is not the x of any point of the curve.
    let off_curve = Signature { r: U256::from(5).to_be_bytes(), vs: signature.vs };
    assert_eq!(recover(digest, &off_curve), Err(AuthError::NotRecoverable));
}

#[test]
fn keys_come_from_hex_and_never_show_themselves() {
    let text = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let key: Key = text.parse().unwrap();
    // The first account of every development chain.
    assert_eq!(key.address(), address!("f39fd6e51aad88f6f4ce6ab8827279cfffb92266"));
    assert_eq!(Key::from_hex(&text[2..]).unwrap().address(), key.address());
    assert_eq!(format!("{key:?}"), format!("Key({})", key.address()));
    assert!(matches!(Key::from_hex("0x12"), Err(AuthError::BadKey { .. })));
    assert!(matches!(Key::from_bytes([0; 32]), Err(AuthError::BadKey { .. })));
    assert!(matches!(Key::from_bytes(ORDER.to_be_bytes()), Err(AuthError::BadKey { .. })));
    assert_ne!(Key::random().address(), Key::random().address());
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Beside this file, so that a case that once failed is tried again for ever.
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_is_signed_recovers_to_its_signer(seed in 1_u8..=200, digest: [u8; 32]) {
        let signature = key(seed).sign(digest.into());
        prop_assert_eq!(recover(digest.into(), &signature), Ok(key(seed).address()));
        prop_assert_eq!(parse_signature(&signature_bytes(&signature)), Ok(signature));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..70), digest: [u8; 32]) {
        if let Ok(signature) = parse_signature(&bytes) {
            let _ = recover(digest.into(), &signature);
        }
    }

    #[test]
    fn a_flipped_bit_is_never_the_same_signer(bit in 0_usize..512, digest: [u8; 32]) {
        let signature = key(9).sign(digest.into());
        let mut bytes = signature_bytes(&signature);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = parse_signature(&bytes) {
            prop_assert_ne!(recover(digest.into(), &changed), Ok(key(9).address()));
        }
    }
}
