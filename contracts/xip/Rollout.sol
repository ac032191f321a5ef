// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {MarketKind} from "../group/Types.sol";
import {Governed} from "./Governed.sol";

/// @notice How far Exchange OS is open. Each phase admits what the ones before admit, and more.
enum RolloutPhase {
    /// Listed deployers, simulated groups.
    Simulated,
    /// Listed deployers; outcome markets of real value.
    Outcome,
    /// … and spot markets.
    Spot,
    /// … and perpetuals.
    Perpetual,
    /// Whoever stakes.
    Open
}

/// @title The rollout: who may open what yet
/// @notice It goes one phase forward at a time, by a constitutional XIP, and never back.
contract Rollout is Governed {
    RolloutPhase public phase;
    /// @notice Who may open venues and list markets before everyone may.
    mapping(address deployer => bool) public isAllowed;

    event PhaseReached(RolloutPhase indexed phase);
    event AllowedSet(address indexed deployer, bool allowed);

    error NotNext(RolloutPhase current, RolloutPhase asked);
    error DeployerNotAllowed(address deployer, RolloutPhase phase);
    error RealValueNotYet(RolloutPhase phase);
    error KindNotYet(MarketKind kind, RolloutPhase phase);

    constructor(address governance_, address[] memory allowed) Governed(governance_) {
        for (uint256 i = 0; i < allowed.length; ++i) {
            _setAllowed(allowed[i], true);
        }
    }

    /// @notice Goes one phase forward. One way.
    function advance(RolloutPhase next) external onlyGovernance {
        if (uint8(next) != uint8(phase) + 1) revert NotNext(phase, next);
        phase = next;
        emit PhaseReached(next);
    }

    /// @notice Puts a deployer on the list, or takes it off: it then lists nothing more until the rollout is open.
    function setAllowed(address deployer, bool allowed) external onlyGovernance {
        _setAllowed(deployer, allowed);
    }

    function _setAllowed(address deployer, bool allowed) private {
        isAllowed[deployer] = allowed;
        emit AllowedSet(deployer, allowed);
    }

    /// @notice Reverts unless the deployer may open a venue now, in a simulated group or one of real value.
    function requireVenue(address deployer, bool simulated) public view {
        if (phase != RolloutPhase.Open && !isAllowed[deployer]) revert DeployerNotAllowed(deployer, phase);
        if (!simulated && phase == RolloutPhase.Simulated) revert RealValueNotYet(phase);
    }

    /// @notice Reverts unless the deployer may list a market of this kind now. In a simulated group it may be any kind.
    function requireListing(address deployer, MarketKind kind, bool simulated) external view {
        requireVenue(deployer, simulated);
        // Kinds and the phases that begin them stand in the same order.
        if (!simulated && uint8(phase) <= uint8(kind)) revert KindNotYet(kind, phase);
    }
}
