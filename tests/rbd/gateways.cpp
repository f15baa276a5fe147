// SPDX-License-Identifier: Apache-2.0
#include "tests/rbd/gateways.h"

#include <vector>

#include "tests/rbd/blocks.h"
#include "tests/rbd/luns.h"
#include "tests/rbd/process.h"
#include "tests/ring/configfs.h"

namespace ballast::rbd_test {

using ring_test::Answer;
using ring_test::Cdb;
using ring_test::Direction;
using ring_test::Lun;

namespace {

constexpr unsigned standby_sense = 0x040b;

unsigned byte_at(const std::vector<std::byte>& data, std::size_t at) {
  return std::to_integer<unsigned>(data[at]);
}

}  // namespace

std::unique_ptr<Lun> add_gateway(const std::string& image, unsigned gateway,
                                 const std::string& more) {
  static unsigned number = 0;
  const std::string unique = std::to_string(++number);
  ring_test::LunOptions options = sized_for_blocks();
  options.name = "gateway" + unique;
  const std::string target = "iqn.2003-01.org.example:" + unique;
  for (const unsigned group : {1U, 2U}) {
    ring_test::set_tpg(target, static_cast<int>(group), group == gateway);
    ring_test::set_group(options.name, "gw" + std::to_string(group), static_cast<int>(group),
                         "iSCSI/" + target + "/tpgt_" + std::to_string(group) + "/lun_0\n");
  }
  return Lun::add(config(image, ";lock=standby" + more), options);
}

Answer set_state(Lun& lun, unsigned gateway, unsigned state) {
  const Cdb cdb{0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0};
  std::vector<std::byte> list(8);
  list[4] = static_cast<std::byte>(state);
  list[7] = static_cast<std::byte>(gateway);
  return lun.execute(cdb, Direction::to_device, list);
}

unsigned reported(Lun& lun, unsigned group) {
  const Cdb cdb{0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0};
  std::vector<std::byte> data(512);
  Answer answer = lun.execute(cdb, Direction::from_device, data);
  if (answer.status == 0x02 && answer.sense_key() == 0x6) {
    answer = lun.execute(cdb, Direction::from_device, data);
  }
  for (std::size_t at = 8; answer.status == 0 && at + 8 <= answer.transferred;
       at += 8 + 4 * byte_at(data, at + 7)) {
    if (byte_at(data, at + 3) == group) {
      return byte_at(data, at) & 0xf;
    }
  }
  return 0xff;
}

Answer ready(Lun& lun) {
  Answer answer;
  do {
    answer = lun.execute(ring_test::test_unit_ready());
  } while (answer.status == 0x02 && answer.sense_key() == 0x6);
  return answer;
}

bool is_not_ready(const Answer& answer, unsigned additional_sense) {
  return answer.status == 0x02 && answer.sense_key() == 0x2 &&
         answer.additional_sense() == additional_sense;
}

bool stands_by(Lun& lun) {
  return ring_test::eventually([&] { return is_not_ready(ready(lun), standby_sense); });
}

bool serves(Lun& lun) {
  return ready(lun).status == 0;
}

bool take_over(Lun& lun, unsigned gateway) {
  Answer answer;
  const bool ended = ring_test::eventually([&] {
    answer = set_state(lun, gateway, active);
    const bool attention = answer.status == 0x02 && answer.sense_key() == 0x6;
    return answer.status != busy && !attention;
  });
  return ended && answer.status == 0;
}

}  // namespace ballast::rbd_test
