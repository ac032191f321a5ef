// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @notice Bytes kept as contracts' code, which is the cheapest place to read many of them from.
/// @dev A chunk's code begins with STOP, so that nobody can run what is in it.
library CodeChunks {
    /// @dev As much as a contract may have, without the STOP.
    uint256 internal constant MAX_CHUNK = 24_575;

    error ChunkNotCreated(uint256 index);
    error ChunkMissing(address chunk);

    /// @notice Writes as many chunks as the data need.
    function write(bytes memory data) internal returns (address[] memory chunks) {
        uint256 count = (data.length + MAX_CHUNK - 1) / MAX_CHUNK;
        chunks = new address[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 from = i * MAX_CHUNK;
            uint256 length = data.length - from < MAX_CHUNK ? data.length - from : MAX_CHUNK;
            chunks[i] = _create(data, from, length);
            if (chunks[i] == address(0)) revert ChunkNotCreated(i);
        }
    }

    function _create(bytes memory data, uint256 from, uint256 length) private returns (address chunk) {
        bytes memory part = new bytes(length);
        assembly ("memory-safe") {
            mcopy(add(part, 32), add(add(data, 32), from), length)
        }
        // PUSH2 size, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN; then the code: STOP and the bytes.
        // casting to 'uint16' is safe because a chunk is smaller
        // forge-lint: disable-next-line(unsafe-typecast)
        bytes memory init = abi.encodePacked(hex"61", uint16(length + 1), hex"80600a5f395ff300", part);
        assembly ("memory-safe") {
            chunk := create(0, add(init, 32), mload(init))
        }
    }

    /// @notice Reads chunks one after the other, and then `tail`.
    function read(address[] memory chunks, bytes memory tail) internal view returns (bytes memory data) {
        uint256 length = tail.length;
        for (uint256 i = 0; i < chunks.length; ++i) {
            if (chunks[i].code.length == 0) revert ChunkMissing(chunks[i]);
            length += chunks[i].code.length - 1;
        }
        data = new bytes(length);
        uint256 at;
        for (uint256 i = 0; i < chunks.length; ++i) {
            (address chunk, uint256 size) = (chunks[i], chunks[i].code.length - 1);
            assembly ("memory-safe") {
                extcodecopy(chunk, add(add(data, 32), at), 1, size)
            }
            at += size;
        }
        assembly ("memory-safe") {
            mcopy(add(add(data, 32), at), add(tail, 32), mload(tail))
        }
    }
}

/// @notice Writes chunks for whoever asks: a transaction that created them itself would look, to tools that know contracts by
/// their code, as if it created what they hold.
contract ChunkWriter {
    function write(bytes memory data) external returns (address[] memory) {
        return CodeChunks.write(data);
    }
}
