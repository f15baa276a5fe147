// SPDX-License-Identifier: Apache-2.0
#include "tests/rbd/blocks.h"

namespace ballast::rbd_test {

using ring_test::Answer;
using ring_test::Direction;
using ring_test::Lun;

ring_test::LunOptions sized_for_blocks() {
  ring_test::LunOptions options;
  options.size = blocks * block_bytes;
  return options;
}

std::vector<std::byte> block_of(std::byte writer) {
  return std::vector<std::byte>(block_bytes, writer);
}

OldOwner::OldOwner(Lun& lun) : lun_{lun} {
  unsigned seed = 0;
  for (Writer& writer : writers_) {
    writer.all = this;
    writer.random.seed(seed++);
    writer.next();
  }
}

void OldOwner::Writer::next() {
  const std::uint64_t block = random() % blocks;
  if (!all->lun_.submit(ring_test::write_16(block * block_lbas, block_lbas), Direction::to_device,
                        data, {&Writer::answered, this})) {
    all->live_.fetch_sub(1);
  }
}

void OldOwner::Writer::answered(void* self, const Answer& answer) {
  auto& writer = *static_cast<Writer*>(self);
  writer.all->good_.fetch_add(answer.status == 0 ? 1 : 0);
  if (answer.status == 0x02 && answer.sense_key() == 0x2) {
    writer.all->live_.fetch_sub(1);
  } else {
    writer.next();
  }
}

bool write_all(Lun& lun, std::byte writer) {
  for (std::size_t block = 0; block < blocks; ++block) {
    std::vector<std::byte> data = block_of(writer);
    const Answer answer = lun.execute(ring_test::write_16(block * block_lbas, block_lbas),
                                      Direction::to_device, data);
    if (answer.status != 0) {
      return false;
    }
  }
  return true;
}

std::size_t blocks_that_differ(Lun& lun, std::byte writer) {
  std::size_t differ = 0;
  for (std::size_t block = 0; block < blocks; ++block) {
    std::vector<std::byte> data(block_bytes);
    const Answer answer = lun.execute(ring_test::read_16(block * block_lbas, block_lbas),
                                      Direction::from_device, data);
    differ += answer.status == 0 && data == block_of(writer) ? 0U : 1U;
  }
  return differ;
}

}  // namespace ballast::rbd_test
