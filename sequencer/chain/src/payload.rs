//! Inbox items between the contract's bytes and our types. The contract stored a hash of the bytes and a batch must
//! supply them again, so decoding and encoding are inverse to each other, or the item is refused.

use alloy::primitives::{B256, keccak256};
use alloy::sol_types::SolValue;
use xos_types::{AccountId, EventConfig, InboxItem, InboxPayload, Ppm, TimeMs};

use crate::abi;
use crate::error::ChainError;

/// Reads an item as it stands in an `InboxQueued` log. `kind` is the contract's `InboxKind`.
///
/// # Errors
/// If the payload is not of that kind, or our encoding of it would not give the same bytes (a title that is not UTF-8).
pub fn decode_inbox_item(index: u64, kind: u8, time: TimeMs, payload: &[u8]) -> Result<InboxItem, ChainError> {
    let malformed = |reason: String| ChainError::MalformedItem { index, reason };
    let decoded = match abi::InboxKind::try_from(kind) {
        Ok(abi::InboxKind::Deposit) => <abi::DepositPayload as SolValue>::abi_decode_params(payload).map(|p| {
            InboxPayload::Deposit { account: AccountId(p.account), owner: p.owner, token: p.token, amount: p.amount }
        }),
        Ok(abi::InboxKind::EventOpened) => <abi::EventOpenedPayload as SolValue>::abi_decode_params(payload)
            .map(|p| InboxPayload::EventOpened { event: abi::event_id(p.eventId), config: config_from_abi(p.config) }),
        Ok(abi::InboxKind::EventResolved) => <abi::EventResolvedPayload as SolValue>::abi_decode_params(payload)
            .map(|p| InboxPayload::EventResolved { event: abi::event_id(p.eventId), payouts: p.payouts }),
        Ok(abi::InboxKind::ForcedWithdrawal) => {
            <abi::ForcedWithdrawalPayload as SolValue>::abi_decode_params(payload).map(|p| {
                InboxPayload::ForcedWithdrawal { account: AccountId(p.account), token: p.token, amount: p.amount }
            })
        }
        Ok(abi::InboxKind::__Invalid) | Err(_) => {
            return Err(malformed(format!("kind {kind} is not known; expected 0 to 3")));
        }
    };
    let payload_decoded = decoded.map_err(|error| malformed(error.to_string()))?;
    if encode_payload(&payload_decoded) != payload {
        return Err(malformed("the payload does not encode back to its bytes (is a title or label not UTF-8?)".into()));
    }
    Ok(InboxItem { index, time, payload: payload_decoded })
}

/// The hash that the contract stored when the item was queued.
#[must_use]
pub fn inbox_item_hash(item: &InboxItem) -> B256 {
    let item = item_to_abi(item);
    keccak256((item.kind, item.time, item.payload).abi_encode_params())
}

pub(crate) fn item_to_abi(item: &InboxItem) -> abi::InboxItem {
    let kind = match &item.payload {
        InboxPayload::Deposit { .. } => abi::InboxKind::Deposit,
        InboxPayload::EventOpened { .. } => abi::InboxKind::EventOpened,
        InboxPayload::EventResolved { .. } => abi::InboxKind::EventResolved,
        InboxPayload::ForcedWithdrawal { .. } => abi::InboxKind::ForcedWithdrawal,
    };
    abi::InboxItem { kind, time: item.time.0, payload: encode_payload(&item.payload).into() }
}

pub(crate) fn config_to_abi(config: &EventConfig) -> abi::EventConfig {
    abi::EventConfig {
        venue: config.venue,
        outcomes: config.outcomes,
        ticks: config.ticks,
        quantum: config.quantum,
        takerFee: config.taker_fee.0,
        makerFee: config.maker_fee.0,
        treasury: config.treasury.0,
        resolver: config.resolver,
        title: config.title.clone(),
        labels: config.labels.clone(),
    }
}

fn config_from_abi(config: abi::EventConfig) -> EventConfig {
    EventConfig {
        venue: config.venue,
        outcomes: config.outcomes,
        ticks: config.ticks,
        quantum: config.quantum,
        taker_fee: Ppm(config.takerFee),
        maker_fee: Ppm(config.makerFee),
        treasury: AccountId(config.treasury),
        resolver: config.resolver,
        title: config.title,
        labels: config.labels,
    }
}

fn encode_payload(payload: &InboxPayload) -> Vec<u8> {
    match payload {
        InboxPayload::Deposit { account, owner, token, amount } => {
            abi::DepositPayload { account: account.0, owner: *owner, token: *token, amount: *amount }
                .abi_encode_params()
        }
        InboxPayload::EventOpened { event, config } => {
            abi::EventOpenedPayload { eventId: abi::event_number(*event), config: config_to_abi(config) }
                .abi_encode_params()
        }
        InboxPayload::EventResolved { event, payouts } => {
            abi::EventResolvedPayload { eventId: abi::event_number(*event), payouts: payouts.clone() }
                .abi_encode_params()
        }
        InboxPayload::ForcedWithdrawal { account, token, amount } => {
            abi::ForcedWithdrawalPayload { account: account.0, token: *token, amount: *amount }.abi_encode_params()
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use proptest::prelude::*;
    use xos_types::EventId;

    use super::*;

    const KINDS: u8 = 4;

    fn address() -> impl Strategy<Value = Address> {
        any::<[u8; 20]>().prop_map(Address::from)
    }

    fn config() -> impl Strategy<Value = EventConfig> {
        let fees = (any::<u32>(), any::<u32>());
        let text = (".{0,70}", proptest::collection::vec(".{0,40}", 0..50));
        (any::<(u32, u8, u64, u64, u64)>(), fees, address(), text).prop_map(
            |((venue, outcomes, ticks, quantum, treasury), (taker, maker), resolver, (title, labels))| EventConfig {
                venue,
                outcomes,
                ticks,
                quantum,
                taker_fee: Ppm(taker),
                maker_fee: Ppm(maker),
                treasury: AccountId(treasury),
                resolver,
                title,
                labels,
            },
        )
    }

    fn payload() -> impl Strategy<Value = InboxPayload> {
        let event = || (0_u32..1 << 24).prop_map(EventId);
        let account = || any::<u64>().prop_map(AccountId);
        prop_oneof![
            (account(), address(), address(), any::<u128>())
                .prop_map(|(account, owner, token, amount)| InboxPayload::Deposit { account, owner, token, amount }),
            (event(), config()).prop_map(|(event, config)| InboxPayload::EventOpened { event, config }),
            (event(), proptest::collection::vec(any::<u64>(), 0..130))
                .prop_map(|(event, payouts)| InboxPayload::EventResolved { event, payouts }),
            (account(), address(), any::<u128>()).prop_map(|(account, token, amount)| InboxPayload::ForcedWithdrawal {
                account,
                token,
                amount
            }),
        ]
    }

    fn kind_of(item: &InboxItem) -> u8 {
        item_to_abi(item).kind.into()
    }

    proptest! {
        #[test]
        fn every_payload_survives_the_way_there_and_back(payload in payload()) {
            let item = InboxItem { index: 7, time: TimeMs(1_000), payload };
            let bytes = encode_payload(&item.payload);
            prop_assert_eq!(decode_inbox_item(7, kind_of(&item), TimeMs(1_000), &bytes).unwrap(), item);
        }

        #[test]
        fn bytes_that_are_taken_are_given_back(payload in payload(), at: usize, change: u8, kind in 0..KINDS) {
            let mut bytes = encode_payload(&payload);
            let at = at % bytes.len();
            bytes[at] ^= change;
            if let Ok(item) = decode_inbox_item(0, kind, TimeMs(0), &bytes) {
                prop_assert_eq!(encode_payload(&item.payload), bytes);
            }
        }
    }

    #[test]
    fn other_encodings_of_the_same_are_refused() {
        let deposit =
            InboxPayload::Deposit { account: AccountId(1), owner: Address::ZERO, token: Address::ZERO, amount: 1 };
        let bytes = encode_payload(&deposit);
        assert!(decode_inbox_item(0, 0, TimeMs(0), &bytes).is_ok());
        assert!(decode_inbox_item(0, 0, TimeMs(0), &[&bytes[..], &[0; 32]].concat()).is_err());
        assert!(decode_inbox_item(0, 0, TimeMs(0), &bytes[..bytes.len() - 1]).is_err());
        let mut dirty = bytes.clone();
        dirty[0] = 1;
        assert!(decode_inbox_item(0, 0, TimeMs(0), &dirty).is_err());
        let error = decode_inbox_item(9, KINDS, TimeMs(0), &bytes).unwrap_err().to_string();
        assert!(error.contains("inbox item 9") && error.contains("kind 4"), "{error}");
    }

    #[test]
    fn a_title_that_is_not_utf8_is_refused_by_name() {
        let config = EventConfig {
            venue: 1,
            outcomes: 2,
            ticks: 10,
            quantum: 1,
            taker_fee: Ppm(0),
            maker_fee: Ppm(0),
            treasury: AccountId(1),
            resolver: Address::ZERO,
            title: "title".into(),
            labels: vec!["a".into(), "b".into()],
        };
        let mut bytes = encode_payload(&InboxPayload::EventOpened { event: EventId(1), config });
        let at = bytes.windows(5).position(|window| window == b"title").unwrap();
        bytes[at] = 0xff;
        let error = decode_inbox_item(3, 1, TimeMs(0), &bytes).unwrap_err().to_string();
        assert!(error.contains("inbox item 3"), "{error}");
        assert!(error.to_lowercase().contains("utf"), "{error}");
    }
}
