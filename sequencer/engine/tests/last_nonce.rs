//! The last nonce of all is nobody's: whoever has spent it is an account that went bankrupt.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(dead_code, reason = "the group's helpers serve other tests too")]

#[path = "rules/group.rs"]
mod group;

use group::*;
use xos_types::*;

#[test]
fn nobody_passes_for_a_bankrupt_by_spending_every_nonce() {
    let mut group = Group::free();
    group.sell(BOB, 10, 400);
    group.buy(ALICE, 10, 400);
    let (account, last) = (AccountId(ALICE), Nonce(u64::MAX));
    group.apply(Command::CancelAll(signed(ALICE, CancelAll { account, below: last })));
    let order = Order { nonce: last, ..group.order(ALICE, Side::Buy, 1, 400) };
    assert_eq!(*rejected(&group.place(order)), Reject::NonceSpent { nonce: last, next: last });

    // What Alice wins is hers: of a bankrupt's it would go to the insurance fund, and the contract knows of no bankruptcy.
    group.frame(2_000, vec![resolve(&[1_000, 0])]);
    assert_eq!((group.cash(ALICE), group.cash(INSURANCE)), (DEPOSIT + 6_000, 0));
}
