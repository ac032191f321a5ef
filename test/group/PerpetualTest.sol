// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {
    AccountId,
    Batch,
    Counterparty,
    FeedId,
    Fill,
    Lots,
    MarketFills,
    MarketId,
    Order,
    Rescue,
    Side
} from "../../contracts/group/Types.sol";
import {GroupTest} from "./GroupTest.sol";

/// @notice A group with a bitcoin perpetual at 50,000 dollars and four traders with 10,000 dollars each.
/// @dev A lot is a thousandth of a bitcoin: 50 dollars, 50,000,000 atoms. To open takes 5 % of notional and to stay 3 %, up
/// to a million dollars; a liquidation costs 1 %, of which the keeper gets half.
abstract contract PerpetualTest is GroupTest {
    /// @dev Atoms.
    int256 internal constant DOLLAR = 1e6;
    uint128 internal constant DOLLARS = 1e6;

    MarketId internal btc;
    FeedId internal btcFeed;
    Trader internal alice;
    Trader internal bob;
    Trader internal carol;
    Trader internal dave;
    /// @dev The insurance fund, which is the governor's account.
    Trader internal fund;

    function setUp() public virtual override {
        super.setUp();
        alice = openAccount("alice", 10_000 * DOLLARS);
        bob = openAccount("bob", 10_000 * DOLLARS);
        carol = openAccount("carol", 10_000 * DOLLARS);
        dave = openAccount("dave", 10_000 * DOLLARS);
        (fund.owner, fund.key) = makeAddrAndKey("governor");
        fund.account = INSURANCE;
        (btc, btcFeed) = listPerpetual("BTC");
        settlePrice(btcFeed, 50_000);
    }

    // ----------------------------------------------------------------- batches of one thing

    /// @notice Settles one trade at the prices that are there.
    function exchange(Trader memory buyer, Trader memory seller, MarketId where, uint64 size, uint64 price) internal {
        settle(batchOf(trade(buyer, seller, where, size, price)));
    }

    /// @notice A second later the feed has another price.
    function reprice(FeedId feed, uint256 dollars) internal {
        pass(1);
        settlePrice(feed, dollars);
    }

    /// @notice Time passes, and bitcoin's price stays fresh.
    function passFreshly(uint256 secondsLong, uint256 dollars) internal {
        pass(secondsLong);
        settlePrice(btcFeed, dollars);
    }

    function settleRescue(Rescue memory only) internal {
        settle(batchOf(only));
    }

    /// @notice Keepers have had their time: flags the account and lets the grace pass at this price.
    function exhaustGrace(Trader memory failing, uint256 dollars) internal {
        settleRescue(flag(failing));
        passFreshly(10, dollars);
    }

    function fundInsurance(uint256 amount) internal {
        deposit(governor, INSURANCE, amount);
        settleInbox();
    }

    function rescues(Rescue memory a, Rescue memory b) internal view returns (Batch memory batch) {
        batch = nextBatch();
        batch.rescues = new Rescue[](2);
        (batch.rescues[0], batch.rescues[1]) = (a, b);
    }

    function opposite(Trader memory a, uint64 lots) internal pure returns (Counterparty[] memory list) {
        list = new Counterparty[](1);
        list[0] = Counterparty(a.account, Lots.wrap(lots));
    }

    function opposite(Trader memory a, uint64 lotsA, Trader memory b, uint64 lotsB)
        internal
        pure
        returns (Counterparty[] memory list)
    {
        list = new Counterparty[](2);
        list[0] = Counterparty(a.account, Lots.wrap(lotsA));
        list[1] = Counterparty(b.account, Lots.wrap(lotsB));
    }

    // ----------------------------------------------------------------- single orders

    /// @notice A trade in which `seller`'s order may only reduce.
    function reducingSale(Trader memory seller, Trader memory buyer, MarketId where, uint64 size, uint64 price)
        internal
        returns (MarketFills memory)
    {
        Order memory sale = order(seller, where, Side.Sell, size, price);
        sale.reduceOnly = true;
        Fill memory bought = fill(buyer, order(buyer, where, Side.Buy, size, price));
        return fills(where, bought, fill(seller, sale));
    }

    /// @notice Two trades in one market as one market's fills.
    function joined(MarketFills memory a, MarketFills memory b) internal pure returns (MarketFills memory both) {
        both.market = a.market;
        both.fills = new Fill[](4);
        (both.fills[0], both.fills[1], both.fills[2], both.fills[3]) = (a.fills[0], a.fills[1], b.fills[0], b.fills[1]);
    }

    // ----------------------------------------------------------------- readings

    function openInterestOf(MarketId where) internal view returns (uint64) {
        return views.market(where).openInterest;
    }

    function heldBy(Trader memory trader) internal view returns (uint256) {
        return views.account(trader.account).held;
    }

    function entryOf(Trader memory trader, FeedId feed) internal view returns (uint256 ticks) {
        (, ticks,) = views.holding(trader.account, feed);
    }

    function poolTokens() internal view returns (uint256 tokens) {
        (tokens,,) = views.pool();
    }

    function badDebt() internal view returns (uint256 debt) {
        (, debt,) = views.pool();
    }

    function usdOf(AccountId id) internal view returns (int256) {
        return views.health(id).usd;
    }
}
