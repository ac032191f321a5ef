// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IEscapeHatch} from "../../contracts/group/IEscapeHatch.sol";
import {AccountId, Batch, EventId, FeedId, MarketId, Redemption} from "../../contracts/group/Types.sol";
import {GroupTest} from "../group/GroupTest.sol";

/// @notice A group with its real escape hatch, a perpetual at 50,000 dollars, and the words to freeze and to leave.
abstract contract EscapeTest is GroupTest {
    uint256 internal constant DOLLAR = 1e6;

    IEscapeHatch internal hatch;
    MarketId internal perpetual;
    FeedId internal perpetualFeed;

    function setUp() public virtual override {
        super.setUp();
        hatch = IEscapeHatch(group.escapeHatch());
        (perpetual, perpetualFeed) = listPerpetual("BTC");
        settleInbox();
        settlePrice(perpetualFeed, 50_000);
    }

    function newEscapeHatch(address group_) internal override returns (address) {
        return deployCode("EscapeHatch.sol:EscapeHatch", abi.encode(group_));
    }

    // ----------------------------------------------------------------- lives

    /// @notice An account that is open in the group, too.
    function openSettled(string memory name, uint256 amount) internal returns (Trader memory trader) {
        trader = openAccount(name, amount);
        settleInbox();
    }

    function openSettledEvent(uint8 outcomes) internal returns (EventId id) {
        id = openEvent(outcomes);
        settleInbox();
    }

    function settleTrade(Trader memory buyer, Trader memory seller, MarketId where, uint64 size, uint64 price)
        internal
    {
        settle(batchOf(trade(buyer, seller, where, size, price)));
    }

    /// @notice A second later the perpetual's index price is this.
    function movePrice(uint256 dollars) internal {
        pass(1);
        settlePrice(perpetualFeed, dollars);
    }

    /// @notice A keeper takes the failing account's whole perpetual; half a minute later its debt is declared.
    function fail(Trader memory failing, Trader memory keeper, uint64 size, uint256 dollars) internal {
        pass(1);
        Batch memory batch = batchOf(flag(failing));
        addPrice(batch, perpetualFeed, dollars);
        settle(batch);
        settle(batchOf(liquidation(keeper, liquidateMessage(keeper, failing, perpetual, size))));
        pass(20);
        batch = batchOf(bankruptcy(failing));
        addPrice(batch, perpetualFeed, dollars);
        settle(batch);
    }

    function redeemInBatch(Trader memory trader, EventId id) internal {
        settle(batchOf(Redemption(trader.account, market(id, 0))));
    }

    // ----------------------------------------------------------------- freezing and leaving

    /// @notice The sequencer is gone: a forced withdrawal waits for longer than the deadline.
    function freezeGroup() internal {
        requestWithdrawal(treasury, 1);
        pass(1 days + 1);
        group.freeze();
    }

    function tallyAll() internal {
        hatch.tally(type(uint256).max);
    }

    function freezeAndTally() internal {
        freezeGroup();
        tallyAll();
    }

    /// @notice An event is decided in a frozen group.
    function resolveFrozen(EventId id, uint64[] memory payouts) internal {
        (, uint64 index) = views.inbox();
        resolveEvent(id, payouts);
        group.applyFrozen(index, queued(index));
    }

    function split(uint8 outcomes, uint8 first, uint8 second) internal pure returns (uint64[] memory payouts) {
        payouts = new uint64[](outcomes);
        payouts[first] = TICKS / 2;
        payouts[second] = TICKS / 2;
    }

    /// @notice Pays a debt from the pocket of somebody else.
    function repayFrom(address payer, Trader memory debtor) internal returns (uint256) {
        uint256 debt = hatch.debtOf(debtor.account);
        token.mint(payer, debt);
        vm.startPrank(payer);
        token.approve(address(hatch), debt);
        uint256 amount = hatch.repay(debtor.account);
        vm.stopPrank();
        return amount;
    }

    // ----------------------------------------------------------------- refusals

    function expectIncomplete(uint256 counted, uint256 total) internal {
        vm.expectRevert(abi.encodeWithSelector(IEscapeHatch.TallyIncomplete.selector, counted, total));
    }

    function expectRefusal(bytes4 selector, Trader memory trader) internal {
        vm.expectRevert(abi.encodeWithSelector(selector, trader.account));
    }

    function expectRefusal(bytes4 selector, Trader memory trader, EventId id) internal {
        vm.expectRevert(abi.encodeWithSelector(selector, trader.account, id));
    }

    function expectOwes(Trader memory trader, uint256 debt) internal {
        vm.expectRevert(abi.encodeWithSelector(IEscapeHatch.OwesFirst.selector, trader.account, debt));
    }

    // ----------------------------------------------------------------- readings

    function walletOf(Trader memory trader) internal view returns (uint256) {
        return token.balanceOf(trader.owner);
    }

    function poolTokens() internal view returns (uint256 tokens) {
        (tokens,,) = views.pool();
    }

    function assertRatio(uint256 tokens, uint256 claims) internal view {
        (uint256 actualTokens, uint256 actualClaims) = hatch.ratio();
        assertEq(actualTokens, tokens, "tokens");
        assertEq(actualClaims, claims, "claims");
    }

    /// @notice The share, rounded down as it is paid.
    function shareOf(uint256 amount) internal view returns (uint256) {
        (uint256 tokens, uint256 claims) = hatch.ratio();
        return claims == 0 ? 0 : amount * tokens / claims;
    }
}
