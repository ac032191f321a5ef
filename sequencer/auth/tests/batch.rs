//! A batch gives each claim the verdict that it gets alone, and that two other implementations give it.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use alloy_primitives::{Address, B256, U256, keccak256};
use k256::ecdsa::{RecoveryId, Signature as Ecdsa, VerifyingKey};
use k256::elliptic_curve::ff::PrimeField;
use k256::elliptic_curve::ops::Reduce;
use k256::elliptic_curve::scalar::IsHigh;
use k256::{ProjectivePoint, Scalar};
use proptest::collection::vec;
use proptest::prelude::*;
use xos_auth::{AuthError, Claim, Key, KeyBook, Verdict, Verifier, recover};
use xos_types::Signature;

const ORDER: U256 = U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX]);

/// What is done to an honest claim before it is judged.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    FlipBit(usize),
    FlipDigest(usize),
    OtherParity,
    Twin,
    ScalarsFrom { r: U256, s: U256 },
    NameAnother,
    NameStranger,
    NameNobody,
    SwapWithNext,
    RepeatLast,
    CancelLast(u64),
    Noise([u8; 32], [u8; 32]),
}

fn changes() -> impl Strategy<Value = Change> {
    let edge = || {
        let near = prop_oneof![Just(U256::ZERO), Just(ORDER), Just(ORDER >> 1), Just(U256::MAX), Just(ORDER << 1)];
        (near, 0_u64..3).prop_map(|(middle, by)| middle.wrapping_add(U256::from(by)).wrapping_sub(U256::from(1)))
    };
    prop_oneof![
        20 => Just(Change::Nothing),
        2 => (0_usize..512).prop_map(Change::FlipBit),
        1 => (0_usize..256).prop_map(Change::FlipDigest),
        1 => Just(Change::OtherParity),
        1 => Just(Change::Twin),
        1 => (edge(), edge()).prop_map(|(r, s)| Change::ScalarsFrom { r, s }),
        1 => Just(Change::NameAnother),
        1 => Just(Change::NameStranger),
        1 => Just(Change::NameNobody),
        1 => Just(Change::SwapWithNext),
        2 => Just(Change::RepeatLast),
        2 => any::<u64>().prop_map(Change::CancelLast),
        1 => any::<([u8; 32], [u8; 32])>().prop_map(|(r, vs)| Change::Noise(r, vs)),
    ]
}

fn key(number: u8) -> Key {
    Key::from_bytes([number + 1; 32]).unwrap()
}

fn honest(signer: u8, digest: B256) -> Claim {
    let key = key(signer);
    Claim { digest, signature: key.sign(digest), signer: Some(key.address()) }
}

fn number(bytes: [u8; 32]) -> Scalar {
    Scalar::reduce(&k256::FieldBytes::from(bytes))
}

fn low(signature: &Signature) -> [u8; 32] {
    let mut s = signature.vs;
    s[0] &= 0x7f;
    s
}

fn claims(plan: &[(u8, [u8; 32], Change)]) -> Vec<Claim> {
    let mut claims: Vec<Claim> = plan.iter().map(|(signer, digest, _)| honest(*signer, (*digest).into())).collect();
    for (i, (signer, _, change)) in plan.iter().enumerate() {
        let other = (i + 1) % claims.len();
        let last = i.checked_sub(1).map(|last| claims[last]);
        let claim = &mut claims[i];
        match *change {
            Change::Nothing => {}
            Change::FlipBit(bit) if bit < 256 => claim.signature.r[bit / 8] ^= 1 << (bit % 8),
            Change::FlipBit(bit) => claim.signature.vs[bit / 8 - 32] ^= 1 << (bit % 8),
            Change::FlipDigest(bit) => claim.digest.0[bit / 8] ^= 1 << (bit % 8),
            Change::OtherParity => claim.signature.vs[0] ^= 0x80,
            Change::Twin => {
                let twin = ORDER - U256::from_be_bytes(low(&claim.signature));
                let parity = !claim.signature.vs[0] & 0x80;
                claim.signature.vs = twin.to_be_bytes();
                claim.signature.vs[0] |= parity;
            }
            Change::ScalarsFrom { r, s } => claim.signature = Signature { r: r.to_be_bytes(), vs: s.to_be_bytes() },
            Change::NameAnother => claim.signer = Some(key((signer + 1) % 4).address()),
            Change::NameStranger => claim.signer = Some(Address::repeat_byte(*signer)),
            Change::NameNobody => claim.signer = None,
            Change::SwapWithNext => {
                let signature = claims[other].signature;
                claims[other].signature = std::mem::replace(&mut claims[i].signature, signature);
            }
            Change::RepeatLast => *claim = last.unwrap_or(*claim),
            Change::CancelLast(by) => {
                // Both sides are off by the same multiple of the generator, with opposite signs: the plain sum still comes out.
                if let Some(last) = last {
                    let moved = |claim: &Claim, by: Scalar| -> B256 {
                        let moved = number(claim.digest.0) + by * number(low(&claim.signature));
                        B256::new(moved.to_repr().into())
                    };
                    claim.digest = moved(claim, Scalar::from(by));
                    claims[i - 1].digest = moved(&last, -Scalar::from(by));
                }
            }
            Change::Noise(r, vs) => claim.signature = Signature { r, vs },
        }
    }
    claims
}

/// The rules that are ours (ranges and the lower half), and k256's recovery.
fn by_k256(claim: &Claim) -> Option<Address> {
    let (r, s) = (U256::from_be_bytes(claim.signature.r), U256::from_be_bytes(low(&claim.signature)));
    if r.is_zero() || r >= ORDER || s.is_zero() || s > ORDER >> 1 {
        return None;
    }
    let ecdsa = Ecdsa::from_scalars(claim.signature.r, low(&claim.signature)).ok()?;
    let id = RecoveryId::new(claim.signature.vs[0] >> 7 == 1, false);
    let key = VerifyingKey::recover_from_prehash(claim.digest.as_slice(), &ecdsa, id).ok()?;
    Some(address(key.to_sec1_point(false).as_bytes()))
}

fn by_libsecp256k1(claim: &Claim) -> Option<Address> {
    use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
    let s = low(&claim.signature);
    if U256::from_be_bytes(s) > ORDER >> 1 {
        return None;
    }
    let id = RecoveryId::try_from(i32::from(claim.signature.vs[0] >> 7)).unwrap();
    let compact = [claim.signature.r, s].concat();
    let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
    let message = secp256k1::Message::from_digest(claim.digest.0);
    let key = secp256k1::Secp256k1::new().recover_ecdsa(message, &signature).ok()?;
    Some(address(&key.serialize_uncompressed()))
}

fn address(uncompressed: &[u8]) -> Address {
    Address::from_word(keccak256(&uncompressed[1..]))
}

fn verify(book: &mut KeyBook, claims: &[Claim]) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    Verifier::new().verify(book, claims, &mut verdicts);
    verdicts
}

/// How claims by known signers are checked.
#[derive(Clone, Copy, Debug)]
enum Way {
    Tables,
    Sums,
}

/// A book that knows signers 0 to `known`.
fn book(known: u8, way: Way) -> KeyBook {
    let mut book = match way {
        Way::Tables => KeyBook::with_tables(64, 64),
        Way::Sums => KeyBook::with_tables(64, 0),
    };
    let claims: Vec<Claim> = (0..known).map(|signer| honest(signer, B256::ZERO)).collect();
    assert!(verify(&mut book, &claims).iter().all(Result::is_ok));
    assert_eq!(book.len(), usize::from(known));
    book
}

fn judge_alike(book: &mut KeyBook, claims: &[Claim]) {
    let verdicts = verify(book, claims);
    assert_eq!(verdicts.len(), claims.len());
    for (claim, verdict) in claims.iter().zip(verdicts) {
        assert_eq!(verdict, recover(claim.digest, &claim.signature), "{claim:?}");
        let signer = verdict.ok();
        assert_eq!(signer, by_k256(claim), "{claim:?}");
        assert_eq!(signer, by_libsecp256k1(claim), "{claim:?}");
    }
}

fn ways() -> impl Strategy<Value = Way> {
    prop_oneof![Just(Way::Tables), Just(Way::Sums)]
}

/// Small factors, their opposites, and those of the endomorphism among others.
fn edges() -> impl Strategy<Value = Scalar> {
    let lambda = U256::from_be_slice(&alloy_primitives::hex!(
        "5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72"
    ));
    let small = (1_u64..6).prop_map(Scalar::from);
    let of_lambda = (1_u64..4).prop_map(move |n| Scalar::from(n) * number(lambda.to_be_bytes()));
    let whatever = any::<[u8; 32]>().prop_map(number);
    (prop_oneof![small, of_lambda, whatever], any::<bool>())
        .prop_map(|(n, opposite)| if opposite { -n } else { n })
        .prop_filter("not zero", |n| !bool::from(n.is_zero()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_judges_as_everybody_does(
        plan in vec((0_u8..4, any::<[u8; 32]>(), changes()), 1..80),
        known in 0_u8..=4,
        way in ways(),
    ) {
        judge_alike(&mut book(known, way), &claims(&plan));
    }

    /// The fuzz target: whatever bytes there are, cut into claims. `PROPTEST_CASES=1000000 cargo test --release -p
    /// xos-auth --test batch any_bytes` runs it for longer.
    #[test]
    fn any_bytes_are_judged_as_by_everybody(
        bytes in vec(any::<u8>(), 0..4_000),
        signers in vec(any::<u8>(), 41),
        way in ways(),
    ) {
        let claims: Vec<Claim> = bytes
            .chunks_exact(96)
            .zip(&signers)
            .map(|(bytes, &signer)| {
                let part = |from: usize| -> [u8; 32] { bytes[from..from + 32].try_into().unwrap() };
                // Some halves are honest, so that what is noise stands beside what is not.
                match signer {
                    0..64 => honest(signer % 4, part(0).into()),
                    64..128 => Claim { signer: Some(key(signer % 4).address()), ..honest(0, part(0).into()) },
                    _ => Claim {
                        digest: part(0).into(),
                        signature: Signature { r: part(32), vs: part(64) },
                        signer: (signer % 2 == 0).then(|| key(signer % 4).address()),
                    },
                }
            })
            .collect();
        judge_alike(&mut book(4, way), &claims);
    }

    /// Where parts of a sum are nothing, equal or opposite, signed and not.
    #[test]
    fn edges_of_the_sum_are_judged_as_by_everybody(
        key in edges(),
        cases in vec((edges(), prop_oneof![edges().prop_map(Some), Just(None)], edges(), 0_u8..4, any::<bool>()), 1..20),
        way in ways(),
    ) {
        let key_pair = Key::from_bytes(key.to_repr().into()).unwrap();
        let mut book = book(0, way);
        let first = Claim { digest: B256::ZERO, signature: key_pair.sign(B256::ZERO), signer: Some(key_pair.address()) };
        assert_eq!(verify(&mut book, &[first]), [Ok(key_pair.address())]);
        let claims: Vec<Claim> = cases
            .iter()
            .map(|&(nonce, s, z, how, odd)| {
                use k256::elliptic_curve::point::AffineCoordinates;
                let point = (ProjectivePoint::GENERATOR * nonce).to_affine();
                let r = number(point.x().into());
                // Nothing, and what makes the two parts equal and opposite.
                let z = [z, Scalar::ZERO, r * key, -(r * key)][usize::from(how)];
                // Of a signature whose point is known, or of none.
                let s = s.unwrap_or_else(|| (z + r * key) * nonce.invert().unwrap());
                let twin = bool::from(s.is_high());
                let s = if twin { -s } else { s };
                let odd = odd ^ twin ^ bool::from(point.y_is_odd());
                let mut vs: [u8; 32] = s.to_repr().into();
                vs[0] |= u8::from(odd) << 7;
                let signature = Signature { r: r.to_repr().into(), vs };
                Claim { digest: B256::new(z.to_repr().into()), signature, signer: Some(key_pair.address()) }
            })
            .collect();
        judge_alike(&mut book, &claims);
    }
}

#[test]
fn errors_that_cancel_are_found() {
    for (signers, way) in [([0, 0], Way::Sums), ([0, 1], Way::Sums), ([0, 0], Way::Tables), ([0, 1], Way::Tables)] {
        let mut book = book(2, way);
        let mut plan: Vec<_> = (0..64).map(|i| (signers[usize::from(i % 2)], [i; 32], Change::Nothing)).collect();
        plan[41].2 = Change::CancelLast(77);
        let claims = claims(&plan);
        let verdicts = verify(&mut book, &claims);
        for (i, (claim, verdict)) in claims.iter().zip(&verdicts).enumerate() {
            assert_eq!(verdict.as_ref().ok() == claim.signer.as_ref(), i != 40 && i != 41);
        }
        judge_alike(&mut book, &claims);
    }
}

#[test]
fn each_place_of_a_batch_can_be_the_false_one() {
    for (size, way) in [1_u8, 2, 3, 8, 9, 10, 17, 33, 100].into_iter().flat_map(|n| [(n, Way::Tables), (n, Way::Sums)])
    {
        let mut book = book(4, way);
        for place in 0..usize::from(size) {
            let mut plan: Vec<_> = (0..size).map(|i| (i % 4, [i; 32], Change::Nothing)).collect();
            plan[place].2 = Change::FlipDigest(place);
            let claims = claims(&plan);
            let verdicts = verify(&mut book, &claims);
            let false_ones: Vec<usize> =
                (0..claims.len()).filter(|&i| verdicts[i].as_ref().ok() != claims[i].signer.as_ref()).collect();
            assert_eq!(false_ones, [place]);
            assert_eq!(verdicts[place], recover(claims[place].digest, &claims[place].signature));
        }
    }
}

#[test]
fn a_wrong_guess_names_the_true_signer() {
    for way in [Way::Tables, Way::Sums] {
        let mut book = book(4, way);
        let mut claims: Vec<Claim> = (0..40).map(|i| honest(i % 4, B256::repeat_byte(i))).collect();
        claims[20].signer = Some(key(1).address());
        let verdicts = verify(&mut book, &claims);
        assert_eq!(verdicts[20], Ok(key(0).address()));
        judge_alike(&mut book, &claims);
    }
}

#[test]
fn a_point_with_an_x_above_the_order_is_not_accepted() {
    // R's x may lie in [n, p), and r is what is left of it; recovery would need r + n, which the compact form cannot say.
    let r = U256::from(2);
    let claim = Claim {
        digest: B256::repeat_byte(1),
        signature: Signature { r: (ORDER + r).to_be_bytes(), vs: [1; 32] },
        signer: Some(key(0).address()),
    };
    let claims = vec![claim; 20];
    for way in [Way::Tables, Way::Sums] {
        let verdicts = verify(&mut book(1, way), &claims);
        assert!(verdicts.iter().all(|verdict| *verdict == Err(AuthError::ScalarOutOfRange { scalar: "r" })));
    }
}

#[test]
fn signers_are_learned_when_they_were_named_rightly() {
    let digest = B256::repeat_byte(9);
    let mut book = KeyBook::new(64);
    verify(&mut book, &[Claim { signer: None, ..honest(0, digest) }]);
    verify(&mut book, &[Claim { signer: Some(key(1).address()), ..honest(0, digest) }]);
    assert!(book.is_empty());
    // One signature is enough for the others of the same batch.
    judge_alike(&mut book, &vec![honest(0, digest); 30]);
    assert!(book.knows(key(0).address()));
    assert_eq!(book.len(), 1);
}

/// Their long tables push each other's out, again and again.
#[test]
fn who_comes_again_and_again_is_judged_as_ever() {
    let digest = |round: u8| B256::repeat_byte(round);
    let mut book = KeyBook::with_tables(64, 64);
    for round in 0..200 {
        let mut claims: Vec<Claim> = (0..2 + round % 9).map(|signer| honest(signer, digest(round))).collect();
        let forged = claims[usize::from(round) % claims.len()];
        claims.push(Claim { digest: digest(round + 1), ..forged });
        judge_alike(&mut book, &claims);
    }
}

#[test]
fn a_full_book_forgets_who_was_not_used() {
    let mut book = KeyBook::with_tables(8, 4);
    for signer in 0..100 {
        judge_alike(&mut book, &[honest(0, B256::ZERO), honest(signer, B256::ZERO)]);
        assert!(book.len() <= 8);
        assert!(book.knows(key(0).address()), "used all the time");
        assert!((signer.saturating_sub(2)..=signer).all(|recent| book.knows(key(recent).address())));
    }
    assert!(!book.knows(key(1).address()));
}

/// Every Wycheproof vector whose signature can be written in 64 bytes, with each parity: valid ones recover to the key of
/// the vector with one parity, invalid ones with none; and the batch says the same as everybody.
#[test]
fn wycheproof_vectors_are_judged_as_by_everybody() {
    use wycheproof::TestResult;
    use wycheproof::ecdsa::{TestName, TestSet};

    let set = TestSet::load(TestName::EcdsaSecp256k1Sha256P1363).unwrap();
    let (mut claims, mut valid) = (Vec::new(), 0);
    for group in &set.test_groups {
        let signer = address(&group.key.key);
        for test in &group.tests {
            let Ok(bytes): Result<[u8; 64], _> = test.sig.to_vec().try_into() else { continue };
            let digest = B256::new(sha256(&test.msg));
            let r: [u8; 32] = bytes[..32].try_into().unwrap();
            let s = U256::from_be_slice(&bytes[32..]);
            // Wycheproof takes both halves; here the upper one is turned into its twin. Out of range stays so.
            let s = if s > ORDER >> 1 && s < ORDER { ORDER - s } else { s };
            if s.bit(255) {
                continue;
            }
            let both = [0, 0x80].map(|parity| {
                let mut vs = s.to_be_bytes::<32>();
                vs[0] |= parity;
                Claim { digest, signature: Signature { r, vs }, signer: Some(signer) }
            });
            let found = both.iter().filter(|claim| by_libsecp256k1(claim) == Some(signer)).count();
            // A point whose x lies above the order has no compact form, though its signature is valid.
            let expected = usize::from(test.result == TestResult::Valid);
            assert!(found == expected || found == 0 && U256::from_be_bytes(r) < U256::MAX - ORDER, "{}", test.tc_id);
            valid += found;
            claims.extend(both);
        }
    }
    assert!(valid > 100 && claims.len() > 2 * valid, "{valid} of {}", claims.len());
    for tables in [0, 1_000] {
        let mut book = KeyBook::with_tables(1_000, tables);
        // Twice: first all signers are new, then all are known.
        judge_alike(&mut book, &claims);
        assert!(book.len() > 10);
        judge_alike(&mut book, &claims);
        // And one by one.
        claims.iter().for_each(|claim| judge_alike(&mut book, &[*claim]));
    }
}

fn sha256(message: &[u8]) -> [u8; 32] {
    use k256::sha2::Digest;
    k256::sha2::Sha256::digest(message).into()
}
