//! Volume tiers, rule by rule.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "rules/group.rs"]
mod group;

use xos_engine::TradedView;
use xos_types::*;

use group::*;

const FORTNIGHT: u64 = 14 * 24 * 3_600_000;

/// A venue that takes 1 % of takers and half of that of makers, and of whoever has traded 50,000 atoms half and nothing.
fn with_a_tier() -> Group {
    let mut group = Group::new(terms(2, 10_000, 5_000));
    group.frame(2_000, vec![tiers(&[(50_000, 500_000, 0)])]);
    group
}

fn tiers(table: &[(u128, u32, u32)]) -> InboxPayload {
    let tier = |&(volume, taker, maker): &(u128, u32, u32)| FeeTier {
        volume,
        taker_share: Ppm(taker),
        maker_share: Ppm(maker),
    };
    InboxPayload::FeeTiersSet { venue: VENUE, tiers: table.iter().map(tier).collect() }
}

impl Group {
    /// Bob takes what Alice offers; what she and he pay.
    fn deal(&mut self, lots: u64, price: u64) -> (i128, i128) {
        self.sell(ALICE, lots, price);
        let fill = fills(&self.buy(BOB, lots, price))[0];
        (fill.maker_fee.0, fill.taker_fee.0)
    }

    fn traded(&self, account: AccountId) -> TradedView {
        self.engine.traded(account).next().unwrap()
    }
}

#[test]
fn who_has_traded_enough_pays_less_from_the_next_frame_on() {
    let mut group = with_a_tier();
    assert_eq!(group.deal(100, 500), (250, 500));
    assert_eq!(group.deal(100, 500), (250, 500), "it counts when the frame is sealed");
    group.frame(3_000, vec![]);
    assert_eq!(group.deal(100, 500), (0, 250));
    let view = group.traded(AccountId(BOB));
    assert_eq!((view.volume, view.tier, view.taker_share, view.maker_share), (100_000, 1, Ppm(500_000), Ppm(0)));
    group.sell(ALICE, 10, 500);
    let newcomer = fills(&group.buy(CAROL, 10, 500))[0];
    assert_eq!((newcomer.maker_fee.0, newcomer.taker_fee.0), (0, 50), "each by its own tier");
}

#[test]
fn a_threshold_that_is_missed_by_an_atom_is_missed() {
    let mut group = with_a_tier();
    group.deal(100, 499);
    group.deal(1, 99);
    group.frame(3_000, vec![]);
    assert_eq!(group.deal(1, 1), (1, 1), "49,999 are not enough");
    group.frame(4_000, vec![]);
    assert_eq!(group.deal(100, 100), (0, 50));
}

#[test]
fn volume_counts_in_its_period_and_the_next() {
    let mut group = with_a_tier();
    group.deal(100, 500);
    group.frame(2 * FORTNIGHT - 1, vec![]);
    assert_eq!(group.deal(100, 100), (0, 50), "the end of the second period");
    group.frame(2 * FORTNIGHT, vec![]);
    assert_eq!(group.deal(100, 100), (50, 100));
    assert_eq!(group.traded(AccountId(ALICE)).volume, 10_000, "what was traded in the second period");
    group.frame(9 * FORTNIGHT, vec![]);
    assert_eq!(group.traded(AccountId(ALICE)).volume, 0);
}

#[test]
fn what_is_held_back_stays_at_the_full_rate_and_comes_back() {
    let mut group = with_a_tier();
    group.deal(100, 500);
    group.frame(3_000, vec![]);
    let free = group.available(BOB);
    group.buy(BOB, 100, 400);
    assert_eq!(group.available(BOB), free - 40_000 - 200, "half a percent of 40,000, as if there were no tier");
    group.sell(CAROL, 60, 400);
    assert_eq!(group.available(BOB), free - 40_000 - 80, "what is left of it, and of 60 lots nothing was charged");
    group.sell(CAROL, 40, 400);
    assert_eq!(group.available(BOB), free - 40_000);
}

#[test]
fn an_order_allows_the_full_rate_whatever_its_tier() {
    let mut group = with_a_tier();
    group.deal(100, 500);
    group.frame(3_000, vec![]);
    let order = Order { max_fee: Ppm(9_999), ..group.order(BOB, Side::Buy, 1, 400) };
    assert!(matches!(rejected(&group.place(order)), Reject::FeeTooLow { .. }));
}

#[test]
fn an_isolated_account_counts_for_its_parent() {
    let mut group = with_a_tier();
    let apart = AccountId(BOB).isolated(MarketId::new(EVENT, 0));
    let (account, nonce) = (AccountId(BOB), group.next_nonce());
    let transfer = Transfer {
        account,
        gateway: Address::ZERO,
        to: apart,
        token: TOKEN,
        amount: 100_000,
        nonce,
        expiry: TimeMs(0),
    };
    group.apply(Command::Transfer(signed(BOB, transfer)));
    group.frame(3_000, vec![]);
    group.sell(ALICE, 100, 500);
    let order = Order { account: apart, ..group.order(BOB, Side::Buy, 100, 500) };
    group.apply(Command::place(signed(BOB, order)));
    group.frame(4_000, vec![]);
    assert_eq!(group.traded(AccountId(BOB)), group.traded(apart));
    assert_eq!(group.deal(100, 100), (0, 50), "the parent has what its isolated account has traded");
}

#[test]
fn a_rebate_is_bounded_by_what_the_taker_still_pays() {
    let mut group = Group::new(terms(2, 10_000, -8_000));
    group.frame(2_000, vec![tiers(&[(50_000, 500_000, 0)])]);
    assert_eq!(group.deal(100, 500), (-400, 500));
    group.frame(3_000, vec![]);
    assert_eq!(group.deal(100, 500), (-250, 250), "and never lowered by a tier of the maker's");
}

#[test]
fn an_empty_table_ends_discounts_and_forgets() {
    let mut group = with_a_tier();
    group.deal(100, 500);
    group.frame(3_000, vec![tiers(&[])]);
    assert_eq!(group.deal(100, 500), (250, 500));
    assert!(group.engine.fee_tiers(VENUE).is_empty() && group.engine.traded(AccountId(BOB)).next().is_none());
    group.frame(4_000, vec![tiers(&[(50_000, 500_000, 0)])]);
    assert_eq!(group.traded(AccountId(BOB)).volume, 0, "volumes count from a venue's first table on");
    group.deal(100, 500);
    group.frame(5_000, vec![tiers(&[(50_000, 400_000, 0)])]);
    assert_eq!(group.deal(100, 500), (0, 200), "another table keeps them");
}
