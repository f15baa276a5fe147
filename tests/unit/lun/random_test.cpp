// SPDX-License-Identifier: Apache-2.0
// Random CDBs with random data, on LUNs that have this or that. BALLAST_SEED repeats a run.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/unit/lun/hostile.h"
#include "tests/unit/scsi/copy_list.h"

#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::test;

namespace {

using Random = std::mt19937_64;

bool one_in(Random& random, unsigned n) {
  return random() % n == 0;
}

// Mostly a command of the table, mostly with no bit that it does not know, mostly near the LUN.
Bytes8 random_cdb(Random& random) {
  Bytes8 cdb(16);
  for (std::uint8_t& byte : cdb) {
    byte = static_cast<std::uint8_t>(random());
  }
  if (one_in(random, 8)) {
    cdb.resize(random() % 17);
    return cdb;
  }
  const auto table = scsi::operations();
  const scsi::Operation& operation = table[random() % table.size()];
  const std::size_t length = scsi::cdb_length(operation.opcode);
  cdb.resize(length);
  cdb[0] = operation.opcode;
  if (operation.needs_medium && !one_in(random, 16)) {
    const Bytes8 near = cdb_of(operation.opcode, 0, random() % 70, random() % 40);
    std::copy(near.begin() + 2, near.end(), cdb.begin() + 2);
    if (operation.opcode == 0x89) {
      cdb[13] = static_cast<std::uint8_t>(random() % 20);
    }
  }
  for (std::size_t i = 1; i < length && !one_in(random, 64); ++i) {
    cdb[i] &= operation.usage[i];
  }
  if (operation.has_service_action) {
    cdb[1] = operation.service_action;
  }
  if (operation.opcode == 0x1b && !one_in(random, 8)) {
    cdb[4] |= 0x01;  // a stopped disk is soon started again
  }
  return cdb;
}

// The parameter list of a copy within the LUN or from its neighbour, with a few random bytes.
Bytes8 random_copy(Random& random, Bytes8& cdb, std::size_t block) {
  std::vector<CopyRange> ranges(random() % 4);
  for (CopyRange& range : ranges) {
    range = {random() % 70, random() % 70, random() % 8};
  }
  const bool from_neighbour = one_in(random, 2);
  Bytes8 list = copy_list(ranges, from_neighbour ? 2 : 1);
  put16(list, cscd_at + 30, block);
  if (from_neighbour) {
    put16(list, cscd_at + 32 + 30, block);
    name_lun(list, 0, HostileRig::neighbour_serial);
  }
  for (std::uint64_t n = random() % 3; n > 0 && one_in(random, 2); --n) {
    list[random() % list.size()] = static_cast<std::uint8_t>(random());
  }
  put32(cdb, 10, list.size() - random() % 2);
  return list;
}

// The parameter list of a SET TARGET PORT GROUPS for the LUN's own group, mostly to have it active.
Bytes8 random_group(Random& random, Bytes8& cdb) {
  Bytes8 list(8);
  list[4] = one_in(random, 4) ? 0x02 : 0x00;
  put16(list, 6, 1);
  put32(cdb, 6, list.size());
  return list;
}

// These mostly get the list that their CDB speaks of: UNMAP, EXTENDED COPY, SET TARGET PORT GROUPS.
Bytes8 random_data(Random& random, Bytes8& cdb, std::size_t block) {
  if (cdb.size() == 16 && cdb[0] == 0x83 && !one_in(random, 4)) {
    return random_copy(random, cdb, block);
  }
  if (cdb.size() == 12 && cdb[0] == 0xa4 && !one_in(random, 4)) {
    return random_group(random, cdb);
  }
  static constexpr std::size_t lengths[] = {0,   8,    24,    40,   100,  511,
                                            512, 1024, 16384, 5000, 2048, 20480};
  Bytes8 data(lengths[random() % std::size(lengths)]);
  if (one_in(random, 4)) {
    data.resize(random() % 3000);
  }
  if (!one_in(random, 3)) {
    for (std::uint8_t& byte : data) {
      byte = static_cast<std::uint8_t>(random());
    }
  }
  if (cdb.size() == 10 && cdb[0] == 0x42 && data.size() >= 24) {
    data.resize(random() % 4 == 0 ? data.size() : 8 + random() % 90);
    data.resize(std::max<std::size_t>(data.size(), 24));
    put16(cdb, 7, data.size() - random() % 2);
    put16(data, 0, data.size() - 2);
    put16(data, 2, data.size() - 8);
    for (std::size_t at = 8; at + 16 <= data.size(); at += 16) {
      put64(data, at, random() % 70);
      put32(data, at + 8, random() % 10);
    }
  }
  return data;
}

void random_commands_break_nothing(void**) {
  const char* const given = std::getenv("BALLAST_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  // First, and unbuffered: an assertion ends the process.
  std::fprintf(stderr, "BALLAST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Random random{seed};
  for (unsigned lun = 0; lun < 40; ++lun) {
    const auto has = static_cast<unsigned>(one_in(random, 4) ? 0 : random() % 0x80);
    HostileRig rig{has};
    for (unsigned i = 0; i < 500; ++i) {
      Bytes8 cdb = random_cdb(random);
      const Bytes8 data = random_data(random, cdb, rig.block());
      const char* const wrong = rig.run(cdb, data, random() % 600,
                                        {.aborts = one_in(random, 32),
                                         .passes_time = one_in(random, 64),
                                         .waits = !one_in(random, 4)});
      if (wrong != nullptr) {
        print_error("LUN %u (has %02x), command %u: %s\n", lun, has, i, wrong);
      }
      assert_null(wrong);
    }
    assert_null(rig.close());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {cmocka_unit_test(random_commands_break_nothing)};
  return cmocka_run_group_tests_name("random", tests, nullptr, nullptr);
}
