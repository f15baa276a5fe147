// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as a sequence of SCSI commands to a small LUN. The first byte says what the LUN
// has (HostileRig::Has). Then each command takes a header of 20 bytes from the input: the CDB (16),
// its length with three bits for what happens around the command, the segment length of the buffer,
// the buffer's length (2). Then it takes as many of the buffer's bytes as the input still has.
// Whatever is in the LUN at the end of the input is there while the LUN is closed.
#include <cstdio>
#include <cstdlib>

#include "tests/unit/lun/hostile.h"
#include "tests/unit/scsi/copy_list.h"

using ballast::test::Bytes8;
using ballast::test::copy_serial;
using ballast::test::cscd_at;
using ballast::test::HostileRig;

namespace {

// The bits beside the length of the CDB.
constexpr std::uint8_t aborts = 0x20;
constexpr std::uint8_t passes_time = 0x40;
constexpr std::uint8_t does_not_wait = 0x80;

// A list of EXTENDED COPY that names a LUN names ours, or its neighbour if the designator is odd:
// nobody would guess them.
void name_the_lun(const Bytes8& cdb, Bytes8& data) {
  constexpr std::size_t names = 2;
  for (std::size_t at = cscd_at; at < cscd_at + names * 32 && at + 32 <= data.size(); at += 32) {
    const ballast::scsi::Naa naa =
        ballast::scsi::naa_of(data[at + 8] % 2 == 0 ? copy_serial : HostileRig::neighbour_serial);
    if (!cdb.empty() && cdb[0] == 0x83 && data[at] == 0xe4 && data[at + 7] == naa.size()) {
      std::copy(naa.begin(), naa.end(), data.begin() + static_cast<std::ptrdiff_t>(at) + 8);
    }
  }
}

void judge(const Bytes8& last, const char* wrong) {
  if (wrong != nullptr) {
    std::fprintf(stderr, "opcode %02x: %s\n", last.empty() ? 0u : unsigned{last[0]}, wrong);
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  constexpr std::size_t header = 20;
  if (size == 0) {
    return 0;
  }
  HostileRig rig{input[0]};
  std::span<const std::uint8_t> left{input + 1, size - 1};
  Bytes8 cdb;
  while (left.size() >= header) {
    const std::span<const std::uint8_t> head = left.first(header);
    left = left.subspan(header);
    cdb.assign(head.begin(), head.begin() + (head[16] & 0x1f) % 17);
    Bytes8 data(ballast::be16(head, 18) % 20481);
    const std::size_t given = std::min(data.size(), left.size());
    std::copy_n(left.begin(), given, data.begin());
    left = left.subspan(given);
    name_the_lun(cdb, data);
    judge(cdb, rig.run(cdb, data, head[17],
                       {.aborts = (head[16] & aborts) != 0,
                        .passes_time = (head[16] & passes_time) != 0,
                        .waits = (head[16] & does_not_wait) == 0}));
  }
  judge(cdb, rig.close());
  return 0;
}
