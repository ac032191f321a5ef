//! From a sealed frame to the calldata of `settle`.

use alloy::primitives::{B256, Bytes, keccak256};
use alloy::sol_types::{SolCall, SolValue};
use xos_auth::{Domain, Key};
use xos_types::{
    Convert, FillLine, Frame, MarketId, Nonce, Order, OrderKind, Rescue, Side, Signature, SignedTree, TimeMs, TreeId,
};

use crate::abi::{self, IRiskGroup};
use crate::attribution::Attribution;
use crate::payload::{item_to_abi, liquidate_to_abi};
use crate::trees::{number_of, trees_to_abi};

/// Where the batch's encoding begins in the calldata: after the selector, the batch's offset and the signature's two
/// words. The contract insists on it and hashes from there.
const BATCH_START: usize = 4 + 3 * 32;

/// Gas that a transaction costs before anything runs.
const TRANSACTION_GAS: u64 = 21_000;
const ZERO_BYTE_GAS: u64 = 4;
const OTHER_BYTE_GAS: u64 = 16;
/// EIP-7623: a transaction pays at least 2.5 times its calldata.
const CALLDATA_FLOOR: (u64, u64) = (5, 2);

/// One frame as a transaction: what to send, and what the contract will store when it has settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettleCall {
    /// The batch's number.
    pub id: u64,
    /// Its hash: what `lastBatch` says once it is settled, and the next batch's parent.
    pub hash: B256,
    /// Calldata of `settle`.
    pub calldata: Bytes,
    /// Netted order lines in it.
    pub orders_filled: u64,
    /// Gas of the calldata alone (16 a byte, 4 a zero byte).
    pub calldata_gas: u64,
    /// The frame's time.
    pub time: TimeMs,
    /// The log's sequence number at its end.
    pub sequence: u64,
}

impl SettleCall {
    /// Encodes the frame as the batch that follows `parent`, with what it says of who brought it about, and signs it as the
    /// group's sequencer.
    #[must_use]
    pub fn build(frame: &Frame, parent: B256, domain: &Domain, attribution: &Attribution, sequencer: &Key) -> Self {
        let mut call = IRiskGroup::settleCall {
            batch: batch_to_abi(frame, parent, domain),
            signature: signature_to_abi(&Signature::default()),
        };
        // The content begins behind the signature, so it can be hashed before there is one.
        let mut calldata = call.abi_encode();
        calldata.extend(attribution.suffix());
        let message = message(frame.id, parent, &calldata[BATCH_START..]);
        let hash = domain.struct_hash(&message);
        call.signature = signature_to_abi(&sequencer.sign_typed(domain, message).signature);
        calldata[BATCH_START - 64..BATCH_START - 32].copy_from_slice(call.signature.r.as_slice());
        calldata[BATCH_START - 32..BATCH_START].copy_from_slice(call.signature.vs.as_slice());

        let zeros = calldata.iter().filter(|&&byte| byte == 0).count();
        let calldata_gas = gas(zeros, ZERO_BYTE_GAS) + gas(calldata.len() - zeros, OTHER_BYTE_GAS);
        let orders_filled = frame.markets.iter().map(|(_, fills)| gas(fills.len(), 1)).sum();
        Self {
            id: frame.id,
            hash,
            calldata: calldata.into(),
            orders_filled,
            calldata_gas,
            time: frame.time,
            sequence: frame.sequence,
        }
    }

    /// Calldata of `probe` with the same arguments.
    #[must_use]
    pub fn probe_calldata(&self) -> Bytes {
        let mut calldata = self.calldata.to_vec();
        calldata[..4].copy_from_slice(&IRiskGroup::probeCall::SELECTOR);
        calldata.into()
    }

    /// What the transaction costs, all in, if the contract itself uses `execution` gas.
    #[must_use]
    pub const fn gas_needed(&self, execution: u64) -> u64 {
        let (times, per) = CALLDATA_FLOOR;
        let floor = TRANSACTION_GAS + self.calldata_gas * times / per;
        let needed = TRANSACTION_GAS + self.calldata_gas + execution;
        if needed < floor { floor } else { needed }
    }
}

/// The hash that the batch of this frame has, without signing it.
#[must_use]
pub fn batch_hash(frame: &Frame, parent: B256, domain: &Domain, attribution: &Attribution) -> B256 {
    let call = IRiskGroup::settleCall {
        batch: batch_to_abi(frame, parent, domain),
        signature: signature_to_abi(&Signature::default()),
    };
    let mut calldata = call.abi_encode();
    calldata.extend(attribution.suffix());
    domain.struct_hash(&message(frame.id, parent, &calldata[BATCH_START..]))
}

fn message(id: u64, parent: B256, content: &[u8]) -> xos_auth::Batch {
    xos_auth::Batch { id, parent: parent.0, content: keccak256(content).0 }
}

fn gas(bytes: usize, each: u64) -> u64 {
    u64::try_from(bytes).expect("a length fits 64 bits") * each
}

fn batch_to_abi(frame: &Frame, parent: B256, domain: &Domain) -> abi::Batch {
    let markets = frame.markets.iter().map(|(market, fills)| market_to_abi(*market, fills, &frame.trees));
    let redemptions = frame
        .redemptions
        .iter()
        .map(|redemption| abi::Redemption { account: redemption.account.0, market: redemption.market.0 });
    let withdrawals = frame.withdrawals.iter().map(|signed| abi::SignedWithdraw {
        withdraw: abi::Withdraw {
            account: signed.message.account.0,
            token: signed.message.token,
            amount: signed.message.amount,
            nonce: signed.message.nonce.0,
            expiry: signed.message.expiry.0,
        },
        signature: signature_to_abi(&signed.signature),
    });
    let prices =
        frame.prices.iter().map(|update| abi::PriceUpdate { feed: update.feed.0, proof: update.proof.clone().into() });
    let transfers = frame.transfers.iter().map(|signed| abi::SignedTransfer {
        transfer: abi::Transfer {
            account: signed.message.account.0,
            gateway: signed.message.gateway,
            to: signed.message.to.0,
            token: signed.message.token,
            amount: signed.message.amount,
            nonce: signed.message.nonce.0,
            expiry: signed.message.expiry.0,
        },
        signature: signature_to_abi(&signed.signature),
    });
    abi::Batch {
        id: frame.id,
        parent,
        time: frame.time.0,
        sequence: frame.sequence,
        logHash: frame.log_hash.into(),
        inbox: frame.inbox.iter().map(item_to_abi).collect(),
        redemptions: redemptions.collect(),
        markets: markets.collect(),
        withdrawals: withdrawals.collect(),
        prices: prices.collect(),
        funding: frame
            .funding
            .iter()
            .map(|update| abi::FundingUpdate { feed: update.feed.0, index: update.index })
            .collect(),
        transfers: transfers.collect(),
        rescues: frame.rescues.iter().map(rescue_to_abi).collect(),
        trees: trees_to_abi(frame, domain),
    }
}

fn rescue_to_abi(rescue: &Rescue) -> abi::Rescue {
    let (kind, payload) = match rescue {
        Rescue::Flag { account } => (abi::RescueKind::Flag, account.0.abi_encode()),
        Rescue::Liquidation(signed) => {
            let signature = signature_to_abi(&signed.signature);
            (abi::RescueKind::Liquidation, (liquidate_to_abi(&signed.message), signature).abi_encode_params())
        }
        Rescue::Conversion(signed) => {
            let signature = signature_to_abi(&signed.signature);
            (abi::RescueKind::Conversion, (convert_to_abi(&signed.message), signature).abi_encode_params())
        }
        Rescue::Takeover { account, market } => (abi::RescueKind::Takeover, (account.0, market.0).abi_encode_params()),
        Rescue::Deleveraging { account, market, others } => {
            let others: Vec<abi::Counterparty> =
                others.iter().map(|other| abi::Counterparty { account: other.account.0, size: other.size.0 }).collect();
            (abi::RescueKind::Deleveraging, (account.0, market.0, others).abi_encode_params())
        }
        Rescue::Bankruptcy { account } => (abi::RescueKind::Bankruptcy, account.0.abi_encode()),
    };
    abi::Rescue { kind, payload: payload.into() }
}

fn convert_to_abi(request: &Convert) -> abi::Convert {
    abi::Convert {
        keeper: request.keeper.0,
        account: request.account.0,
        asset: request.asset.0,
        amount: request.amount,
        limit: request.limit,
        nonce: request.nonce.0,
        expiry: request.expiry.0,
    }
}

/// The tree of a line that nobody signed: an inbox item forced it (`FORCED` of `Types.sol`).
const FORCED: u32 = u32::MAX;

fn market_to_abi(market: MarketId, fills: &[FillLine], trees: &[(TreeId, SignedTree)]) -> abi::MarketFills {
    let fills = fills.iter().map(|line| abi::Fill {
        order: order_to_abi(&line.order.message),
        filled: line.filled.0,
        notional: line.notional,
        fee: line.fee.0,
        tree: if line.order.message.nonce == Nonce::FORCED { FORCED } else { number_of(line, trees) },
        signature: signature_to_abi(&match line.order.signature.tree() {
            Some(_) => Signature::default(),
            None => line.order.signature,
        }),
    });
    abi::MarketFills { market: market.0, fills: fills.collect() }
}

fn order_to_abi(order: &Order) -> abi::Order {
    abi::Order {
        account: order.account.0,
        market: order.market.0,
        side: match order.side {
            Side::Buy => abi::Side::Buy,
            Side::Sell => abi::Side::Sell,
        },
        kind: match order.kind {
            OrderKind::GoodTillCancelled => abi::OrderKind::GoodTillCancelled,
            OrderKind::ImmediateOrCancel => abi::OrderKind::ImmediateOrCancel,
            OrderKind::FillOrKill => abi::OrderKind::FillOrKill,
            OrderKind::PostOnly => abi::OrderKind::PostOnly,
        },
        reduceOnly: order.reduce_only,
        size: order.size.0,
        price: order.price.0,
        nonce: order.nonce.0,
        expiry: order.expiry.0,
        maxFee: order.max_fee.0,
        builder: order.builder,
        builderFee: order.builder_fee.0,
    }
}

pub(crate) fn signature_to_abi(signature: &Signature) -> abi::Signature {
    abi::Signature { r: signature.r.into(), vs: signature.vs.into() }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, U256};
    use xos_types::{
        AccountId, Atoms, Counterparty, EventId, FeedId, FundingUpdate, InboxItem, InboxPayload, Liquidate, Lots,
        Nonce, Ppm, PriceUpdate, Redemption, Signed, Ticks, Transfer, Withdraw,
    };

    use super::*;

    fn domain() -> Domain {
        Domain::new(31_337, Address::repeat_byte(7))
    }

    fn silent() -> Attribution {
        Attribution::default()
    }

    fn key() -> Key {
        Key::from_bytes([5; 32]).unwrap()
    }

    fn order(side: Side) -> Signed<Order> {
        let order = Order {
            account: AccountId(2),
            market: MarketId(258),
            side,
            kind: OrderKind::PostOnly,
            reduce_only: false,
            size: Lots(100),
            price: Ticks(500),
            nonce: Nonce(1),
            expiry: TimeMs(9),
            max_fee: Ppm(1_000),
            builder: 0,
            builder_fee: Ppm(0),
        };
        key().sign_typed(&domain(), order)
    }

    /// One of each kind.
    fn rescues() -> Vec<Rescue> {
        let (account, market) = (AccountId(2), MarketId(5 << 8));
        let liquidate = Liquidate {
            keeper: AccountId(3),
            account,
            market,
            size: Lots(9),
            limit: 8,
            nonce: Nonce(7),
            expiry: TimeMs(6),
        };
        let convert = Convert {
            keeper: AccountId(3),
            account,
            asset: FeedId(2),
            amount: 9,
            limit: 8,
            nonce: Nonce(8),
            expiry: TimeMs(6),
        };
        vec![
            Rescue::Flag { account },
            Rescue::Liquidation(key().sign_typed(&domain(), liquidate)),
            Rescue::Conversion(key().sign_typed(&domain(), convert)),
            Rescue::Takeover { account, market },
            Rescue::Deleveraging { account, market, others: vec![Counterparty { account, size: Lots(4) }] },
            Rescue::Bankruptcy { account },
        ]
    }

    fn frame() -> Frame {
        let line = |side| FillLine { order: order(side), filled: Lots(10), notional: 5_000, fee: Atoms(3) };
        let withdraw = Withdraw {
            account: AccountId(2),
            token: Address::repeat_byte(3),
            amount: 77,
            nonce: Nonce(2),
            expiry: TimeMs(0),
        };
        let transfer = Transfer {
            account: AccountId(2),
            gateway: Address::ZERO,
            to: AccountId(3),
            token: Address::repeat_byte(3),
            amount: 78,
            nonce: Nonce(3),
            expiry: TimeMs(0),
        };
        let payload = InboxPayload::EventResolved { event: EventId(4), payouts: vec![0, 10] };
        Frame {
            id: 3,
            time: TimeMs(1_000),
            sequence: 44,
            log_hash: [6; 32],
            inbox: vec![InboxItem { index: 8, time: TimeMs(900), payload }],
            redemptions: vec![Redemption { account: AccountId(2), market: MarketId(4 << 8) }],
            rescues: rescues(),
            trees: vec![],
            markets: vec![(MarketId(258), vec![line(Side::Buy), line(Side::Sell)])],
            withdrawals: vec![key().sign_typed(&domain(), withdraw)],
            prices: vec![PriceUpdate { feed: FeedId(1), answer: 1, published_at: TimeMs(990), proof: vec![1, 2, 3] }],
            funding: vec![FundingUpdate { feed: FeedId(1), index: -5 }],
            transfers: vec![key().sign_typed(&domain(), transfer)],
        }
    }

    #[test]
    fn the_batch_begins_where_the_contract_looks_for_it() {
        let call = SettleCall::build(&frame(), B256::repeat_byte(1), &domain(), &silent(), &key());
        assert_eq!(call.calldata[..4], IRiskGroup::settleCall::SELECTOR);
        assert_eq!(U256::from_be_slice(&call.calldata[4..36]), U256::from(0x60));
        let decoded = IRiskGroup::settleCall::abi_decode(&call.calldata).unwrap();
        assert_eq!(decoded.batch, batch_to_abi(&frame(), B256::repeat_byte(1), &domain()));

        let signature = Signature { r: decoded.signature.r.0, vs: decoded.signature.vs.0 };
        let message = xos_auth::Batch { id: 3, parent: [1; 32], content: keccak256(&call.calldata[100..]).0 };
        let signed = xos_auth::verify(&domain(), message, signature).unwrap();
        assert_eq!(signed.signer, key().address());
        assert_eq!(call.hash, domain().struct_hash(&message));
        assert_eq!(batch_hash(&frame(), B256::repeat_byte(1), &domain(), &silent()), call.hash);
    }

    /// As the contract decodes them: `abi.decode(payload, (AccountId, MarketId, Counterparty[]))` and the like.
    #[test]
    fn each_rescue_has_the_payload_of_its_kind() {
        let encoded: Vec<abi::Rescue> = rescues().iter().map(rescue_to_abi).collect();
        let words: Vec<usize> = encoded.iter().map(|rescue| rescue.payload.len() / 32).collect();
        assert_eq!(words, [1, 9, 9, 2, 6, 1]);
        assert!(encoded.iter().zip(0u8..).all(|(rescue, kind)| u8::from(rescue.kind) == kind));
        type Deleveraging = (u64, u32, Vec<abi::Counterparty>);
        let (account, market, others) = Deleveraging::abi_decode_params(&encoded[4].payload).unwrap();
        assert_eq!((account, market, others[0].account, others[0].size), (2, 5 << 8, 2, 4));
        type Conversion = (abi::Convert, abi::Signature);
        let (convert, signature) = Conversion::abi_decode_params(&encoded[2].payload).unwrap();
        assert_eq!((convert.keeper, convert.account, convert.asset, convert.amount), (3, 2, 2, 9));
        let Rescue::Conversion(signed) = &rescues()[2] else { unreachable!() };
        assert_eq!(signature, signature_to_abi(&signed.signature));
    }

    #[test]
    fn the_probe_asks_about_the_same_bytes() {
        let call = SettleCall::build(&frame(), B256::ZERO, &domain(), &silent(), &key());
        let probe = call.probe_calldata();
        assert_eq!(probe[..4], IRiskGroup::probeCall::SELECTOR);
        assert_eq!(probe[4..], call.calldata[4..]);
    }

    #[test]
    fn calldata_gas_counts_bytes() {
        let call = SettleCall::build(&frame(), B256::ZERO, &domain(), &silent(), &key());
        let counted: u64 = call.calldata.iter().map(|byte| if *byte == 0 { 4 } else { 16 }).sum();
        assert_eq!((call.calldata_gas, call.orders_filled), (counted, 2));
        assert_eq!(call.gas_needed(1_000_000), 1_021_000 + counted);
        // With next to nothing to execute, the floor of EIP-7623 counts.
        assert_eq!(call.gas_needed(0), 21_000 + counted * 5 / 2);
    }

    #[test]
    fn everything_in_a_frame_changes_the_hash() {
        let changes: [fn(&mut Frame); 20] = [
            |frame| frame.id += 1,
            |frame| frame.time.0 += 1,
            |frame| frame.sequence += 1,
            |frame| frame.log_hash[0] ^= 1,
            |frame| frame.inbox[0].time.0 += 1,
            |frame| frame.inbox.clear(),
            |frame| frame.redemptions[0].account.0 += 1,
            |frame| frame.redemptions[0].market.0 += 1,
            |frame| frame.rescues.swap(0, 5),
            |frame| frame.rescues[0] = Rescue::Flag { account: AccountId(9) },
            |frame| frame.markets[0].0.0 += 1,
            |frame| frame.markets[0].1[1].notional += 1,
            |frame| frame.markets[0].1[0].order.signature.r[31] ^= 1,
            |frame| frame.markets[0].1.swap(0, 1),
            |frame| frame.withdrawals[0].message.amount += 1,
            |frame| frame.prices[0].feed.0 += 1,
            |frame| frame.prices[0].proof[0] ^= 1,
            |frame| frame.funding[0].feed.0 += 1,
            |frame| frame.funding[0].index += 1,
            |frame| frame.transfers[0].message.amount += 1,
        ];
        let hash = |frame: &Frame| batch_hash(frame, B256::ZERO, &domain(), &silent());
        let mut hashes = vec![hash(&frame()), batch_hash(&frame(), B256::repeat_byte(1), &domain(), &silent())];
        // And so does what stands behind it.
        let attribution = Attribution::try_from(vec!["xos".to_owned()]).unwrap();
        hashes.push(batch_hash(&frame(), B256::ZERO, &domain(), &attribution));
        for change in changes {
            let mut changed = frame();
            change(&mut changed);
            hashes.push(hash(&changed));
        }
        let count = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), count);
    }

    #[test]
    fn a_rebate_is_a_negative_fee() {
        let mut frame = frame();
        frame.markets[0].1[0].fee = Atoms(-1);
        let call = SettleCall::build(&frame, B256::ZERO, &domain(), &silent(), &key());
        let decoded = IRiskGroup::settleCall::abi_decode(&call.calldata).unwrap();
        assert_eq!(decoded.batch.markets[0].fills[0].fee, -1);
        assert_eq!(decoded.batch.markets[0].fills[0].tree, 0, "each order has a signature of its own");
    }

    /// As `Fills.sol` takes them: a proof of the tree's depth for each line that names it, in the order of the lines.
    #[test]
    fn a_line_of_a_tree_names_it_and_comes_with_its_proof() {
        let orders: Vec<Order> =
            (0..5).map(|nonce| Order { nonce: Nonce(nonce), ..order(Side::Buy).message }).collect();
        let mut built = xos_auth::Tree::default();
        built.build(&domain(), &orders).unwrap();
        let root = key().sign_typed(&domain(), built.message());
        let tree = SignedTree::new(orders.clone(), root.signature, root.signer).unwrap();
        let line = |place: usize| {
            let signature = Signature::of_tree(TreeId(44));
            let order = Signed { message: orders[place], signature, signer: tree.signer };
            FillLine { order, filled: Lots(1), notional: 500, fee: Atoms(0) }
        };
        let mut frame = frame();
        frame.trees = vec![(TreeId(7), tree.clone()), (TreeId(44), tree.clone())];
        frame.markets[0].1.extend([line(4), line(1)]);
        let batch = batch_to_abi(&frame, B256::ZERO, &domain());

        let fills = &batch.markets[0].fills;
        assert_eq!(fills.iter().map(|fill| fill.tree).collect::<Vec<_>>(), [0, 0, 2, 2]);
        assert_eq!(fills[2].signature, signature_to_abi(&Signature::default()));
        let [unused, used] = &batch.trees[..] else { panic!("{:?}", batch.trees) };
        assert_eq!((used.root.0, used.depth, used.proofs.len(), unused.proofs.len()), (built.message().root, 3, 6, 0));
        for (fill, proof) in [4, 1].into_iter().zip(used.proofs.chunks(3)) {
            let proof: Vec<_> = proof.iter().map(|word| word.0).collect();
            assert_eq!(xos_auth::tree_of(&domain(), &orders[fill], &proof), built.message());
        }
    }
}
