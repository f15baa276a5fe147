// SPDX-License-Identifier: Apache-2.0
// Takes any bytes as a sequence of SCSI commands to a small LUN. Each command takes a header of 20
// bytes from the input: the CDB (16), its length, the segment length of the buffer, the buffer's
// length (2). Then it takes as many of the buffer's bytes as the input still has.
#include <cstdio>
#include <cstdlib>

#include "tests/unit/lun/hostile.h"
#include "tests/unit/scsi/copy_list.h"

using ballast::test::Bytes8;
using ballast::test::copy_serial;
using ballast::test::cscd_at;
using ballast::test::HostileRig;

namespace {

// A list of EXTENDED COPY that names a LUN names ours, whose designator nobody would guess.
void name_the_lun(const Bytes8& cdb, Bytes8& data) {
  constexpr std::size_t names = 2;
  const ballast::scsi::Naa naa = ballast::scsi::naa_of(copy_serial);
  for (std::size_t at = cscd_at; at < cscd_at + names * 32 && at + 32 <= data.size(); at += 32) {
    if (!cdb.empty() && cdb[0] == 0x83 && data[at] == 0xe4 && data[at + 7] == naa.size()) {
      std::copy(naa.begin(), naa.end(), data.begin() + static_cast<std::ptrdiff_t>(at) + 8);
    }
  }
}

}  // namespace

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
    name_the_lun(cdb, data);
    const char* const wrong = rig.run(cdb, data, head[17]);
    if (wrong != nullptr) {
      std::fprintf(stderr, "opcode %02x: %s\n", cdb.empty() ? 0u : unsigned{cdb[0]}, wrong);
      std::abort();
    }
  }
  return 0;
}
