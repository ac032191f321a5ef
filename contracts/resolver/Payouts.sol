// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IGateway} from "../group/IGateway.sol";
import {IGroupViews} from "../group/IGroupViews.sol";
import {EventId, firstMarket} from "../group/Types.sol";

/// @title What an event's outcomes pay, in ticks per lot
/// @notice A winner, a split and a void are all vectors that add up to the event's ticks.
library Payouts {
    /// @notice No batch has opened the event yet, or there is none.
    error NotSettledYet(address gateway, EventId eventId);

    /// @notice One outcome pays everything. If the event has no such outcome, nothing does, and its gateway refuses that.
    function winner(IGateway gateway, EventId id, uint256 outcome) internal view returns (uint64[] memory payouts) {
        IGroupViews.MarketView memory market = _firstOf(gateway, id);
        payouts = new uint64[](market.outcomes);
        if (outcome < market.outcomes) payouts[outcome] = market.ticks;
    }

    /// @notice All outcomes pay alike; what does not divide goes to the first ones, a tick each.
    function alike(IGateway gateway, EventId id) internal view returns (uint64[] memory payouts) {
        IGroupViews.MarketView memory market = _firstOf(gateway, id);
        payouts = new uint64[](market.outcomes);
        for (uint256 outcome = 0; outcome < market.outcomes; ++outcome) {
            bool more = outcome < market.ticks % market.outcomes;
            payouts[outcome] = market.ticks / market.outcomes + (more ? 1 : 0);
        }
    }

    function _firstOf(IGateway gateway, EventId id) private view returns (IGroupViews.MarketView memory market) {
        market = IGroupViews(gateway.group()).market(firstMarket(id));
        if (market.outcomes == 0) revert NotSettledYet(address(gateway), id);
    }
}
