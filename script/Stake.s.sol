// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {MarketKind} from "../contracts/group/Types.sol";
import {SlotAuction} from "../contracts/venue/SlotAuction.sol";
import {StakedOkb} from "../contracts/venue/StakedOkb.sol";
import {WrappedOkb} from "../contracts/venue/WrappedOkb.sol";
import {VenueNumber} from "../contracts/venue/VenueTypes.sol";
import {Broadcaster} from "./Broadcaster.sol";

/// @notice Wraps and stakes OKB, takes it back, and bids for slots, with the core of `deployments/<chain id>.core.json`.
///
///     forge script script/Stake.s.sol --sig 'stake(uint256)' 1000000000000000000000 --rpc-url … --private-key … --broadcast
contract Stake is Broadcaster {
    /// @notice Wraps native OKB, which is what can be staked.
    /// @param amount In wei.
    function wrap(uint256 amount) external {
        address okb = address(StakedOkb(coreContract("stake")).okb());
        startBroadcast();
        WrappedOkb(payable(okb)).deposit{value: amount}();
        vm.stopBroadcast();
    }

    /// @param amount In wei.
    function stake(uint256 amount) external {
        StakedOkb staked = StakedOkb(coreContract("stake"));
        startBroadcast();
        staked.okb().approve(address(staked), amount);
        staked.stake(amount);
        vm.stopBroadcast();
    }

    function delegate(address to) external {
        startBroadcast();
        StakedOkb(coreContract("stake")).delegate(to);
        vm.stopBroadcast();
    }

    function unstake(uint256 amount) external {
        startBroadcast();
        StakedOkb(coreContract("stake")).unstake(amount);
        vm.stopBroadcast();
    }

    function release() external {
        startBroadcast();
        StakedOkb(coreContract("stake")).release();
        vm.stopBroadcast();
    }

    /// @notice Bids for the slot on sale, at most `most` wei; what it costs is the price of the moment, or `most` in a contest.
    /// @param kind 0 outcome, 1 spot, 2 perpetual.
    function bid(uint8 kind, uint32 venue, uint96 most) external {
        SlotAuction auction = SlotAuction(coreContract("auction"));
        MarketKind sold = MarketKind(kind);
        uint64 number = auction.auctionOf(sold).number;
        startBroadcast();
        IERC20(auction.okb()).approve(address(auction), most);
        auction.bid(sold, number, VenueNumber.wrap(venue), most);
        vm.stopBroadcast();
    }
}
