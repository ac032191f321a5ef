//! Signatures of wallets, one and many.

use alloy_primitives::{Address, B256, U256, keccak256};
use k256::ecdsa::{RecoveryId, Signature as Ecdsa, VerifyingKey};
use xos_auth::{Claim, KeyBook, Verifier, parse_signature, recover, signature_bytes};
use xos_types::Signature;

use crate::seeds::signer;

/// Bytes of a claim: who is said to have signed, the digest, the signature.
pub(crate) const CLAIM_BYTES: usize = 1 + 32 + 64;
const PARITY_BIT: u8 = 0x80;
/// The curve's order.
const ORDER: U256 = U256::from_limbs([0xbfd2_5e8c_d036_4141, 0xbaae_dce6_af48_a03b, 0xffff_ffff_ffff_fffe, u64::MAX]);

/// Who signed, by k256 alone; only a low `s` counts.
fn recovered_by_k256(digest: B256, signature: &Signature) -> Option<Address> {
    let mut s = signature.vs;
    s[0] &= !PARITY_BIT;
    if U256::from_be_bytes(s) > ORDER >> 1 {
        return None;
    }
    let ecdsa = Ecdsa::from_scalars(signature.r, s).ok()?;
    let parity = RecoveryId::new(signature.vs[0] & PARITY_BIT != 0, false);
    let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &ecdsa, parity).ok()?;
    Some(Address::from_word(keccak256(&key.to_sec1_point(false).as_bytes()[1..])))
}

/// Each claim of a batch gets the verdict that it gets alone, and that k256 gives; what a wallet returns is read as that.
pub(crate) fn signatures(bytes: &[u8]) {
    if let Ok(signature) = parse_signature(bytes) {
        assert_eq!(parse_signature(&signature_bytes(&signature)), Ok(signature));
    }
    let claims = bytes.chunks_exact(CLAIM_BYTES).map(|claim| {
        let (digest, signature) = claim[1..].split_at(32);
        let mut parts = Signature::default();
        parts.r.copy_from_slice(&signature[..32]);
        parts.vs.copy_from_slice(&signature[32..]);
        let named = match claim[0] {
            0 => None,
            255 => Some(Address::repeat_byte(7)),
            number => Some(signer(number).address()),
        };
        Claim { digest: B256::from_slice(digest), signature: parts, signer: named }
    });
    let claims: Vec<Claim> = claims.take(64).collect();
    let (mut verifier, mut keys, mut verdicts) = (Verifier::new(), KeyBook::new(64), Vec::new());
    // The first time keys are learned, the second time they are known.
    for _ in 0..2 {
        verdicts.clear();
        verifier.verify(&mut keys, &claims, &mut verdicts);
        for (claim, verdict) in claims.iter().zip(&verdicts) {
            assert_eq!(*verdict, recover(claim.digest, &claim.signature));
            assert_eq!(verdict.clone().ok(), recovered_by_k256(claim.digest, &claim.signature), "{claim:?}");
        }
    }
    assert_eq!(verdicts.len(), claims.len());
}
