// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as a sequence of SCSI commands to a small LUN. Each command takes a header of 20
// bytes from the input: the CDB (16), its length, the segment length of the buffer, the buffer's
// length (2). Then it takes as many of the buffer's bytes as the input still has.
#include <cstdio>
#include <cstdlib>

#include "tests/unit/lun/hostile.h"

using ballast::test::Bytes8;
using ballast::test::HostileRig;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  constexpr std::size_t header = 20;
  HostileRig rig;
  std::span<const std::uint8_t> left{input, size};
  while (left.size() >= header) {
    const std::span<const std::uint8_t> head = left.first(header);
    left = left.subspan(header);
    Bytes8 cdb{head.begin(), head.begin() + head[16] % 17};
    Bytes8 data(ballast::be16(head, 18) % 20481);
    const std::size_t given = std::min(data.size(), left.size());
    std::copy_n(left.begin(), given, data.begin());
    left = left.subspan(given);
    const char* const wrong = rig.run(cdb, data, head[17]);
    if (wrong != nullptr) {
      std::fprintf(stderr, "opcode %02x: %s\n", cdb.empty() ? 0u : unsigned{cdb[0]}, wrong);
      std::abort();
    }
  }
  return 0;
}
