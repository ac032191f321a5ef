// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Create2} from "@openzeppelin/contracts/utils/Create2.sol";
import {GroupTerms} from "../group/Types.sol";
import {CodeChunks} from "./CodeChunks.sol";

/// @notice Creates a group's three contracts, one after the other, so that their addresses follow from its own.
/// @dev They name each other, so none of their addresses can depend on what they are made with.
contract Cradle {
    address private immutable _factory = msg.sender;

    error NotFactory(address caller);
    error CreationFailed();

    function make(bytes memory creation) external returns (address made) {
        if (msg.sender != _factory) revert NotFactory(msg.sender);
        assembly ("memory-safe") {
            made := create(0, add(creation, 32), mload(creation))
        }
        if (made == address(0)) revert CreationFailed();
    }
}

/// @title The factory of risk groups
/// @notice A new group runs the code that was audited: creation code of the three contracts, linked to the shared libraries,
/// is kept in data contracts and never changes. Anyone may use it; a group's addresses follow from who asked and the salt,
/// so a reorganisation of the chain cannot put another group there.
contract GroupFactory {
    using CodeChunks for address[];

    /// @param governance Governor of the gateway, and owner of the insurance fund's and the treasury's accounts.
    /// @param guardian Who may stop the group's markets at its gateway; may be nobody.
    struct Order {
        address settlementToken;
        address governance;
        address guardian;
        uint64 inboxDeadline;
        uint96 requestFee;
        GroupTerms terms;
    }

    /// @notice Hashes of the creation code, without arguments.
    bytes32 public immutable groupCodeHash;
    bytes32 public immutable gatewayCodeHash;
    bytes32 public immutable escapeHatchCodeHash;
    address[] private _groupCode;
    address[] private _gatewayCode;
    address[] private _escapeHatchCode;

    event GroupCreated(address indexed group, address indexed gateway, address escapeHatch, address settlementToken);

    error CreatedElsewhere(address expected, address got);

    /// @param groupCode,gatewayCode,escapeHatchCode Chunks of creation code (`CodeChunks`).
    constructor(address[] memory groupCode, address[] memory gatewayCode, address[] memory escapeHatchCode) {
        (_groupCode, _gatewayCode, _escapeHatchCode) = (groupCode, gatewayCode, escapeHatchCode);
        groupCodeHash = keccak256(groupCode.read(""));
        gatewayCodeHash = keccak256(gatewayCode.read(""));
        escapeHatchCodeHash = keccak256(escapeHatchCode.read(""));
    }

    /// @notice Creates a group with its gateway and its escape hatch.
    function create(Order calldata order, bytes32 salt)
        external
        returns (address group, address gateway, address escapeHatch)
    {
        (group, gateway, escapeHatch) = addressesOf(msg.sender, salt);
        emit GroupCreated(group, gateway, escapeHatch, order.settlementToken);
        Cradle cradle = new Cradle{salt: _saltOf(msg.sender, salt)}();
        bytes memory arguments =
            abi.encode(order.settlementToken, gateway, escapeHatch, order.governance, order.inboxDeadline, order.terms);
        _make(cradle, _groupCode.read(arguments), group);
        arguments = abi.encode(group, order.settlementToken, order.governance, order.guardian, order.requestFee);
        _make(cradle, _gatewayCode.read(arguments), gateway);
        _make(cradle, _escapeHatchCode.read(abi.encode(group)), escapeHatch);
    }

    function _make(Cradle cradle, bytes memory creation, address expected) private {
        address made = cradle.make(creation);
        if (made != expected) revert CreatedElsewhere(expected, made);
    }

    /// @notice Where the contracts of `creator`'s group with this salt are, or will be.
    function addressesOf(address creator, bytes32 salt)
        public
        view
        returns (address group, address gateway, address escapeHatch)
    {
        // slither-disable-next-line too-many-digits
        address cradle = Create2.computeAddress(_saltOf(creator, salt), keccak256(type(Cradle).creationCode));
        return (_child(cradle, 1), _child(cradle, 2), _child(cradle, 3));
    }

    /// @dev Address of what a contract creates with this nonce, which is less than 128: RLP of `[contract, nonce]`.
    function _child(address cradle, uint8 nonce) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", cradle, nonce)))));
    }

    function _saltOf(address creator, bytes32 salt) private pure returns (bytes32) {
        return keccak256(abi.encode(creator, salt));
    }
}
