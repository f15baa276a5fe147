// SPDX-License-Identifier: Apache-2.0
// A closed loop through the real plugin, without kernel or network.
// usage: bench PLUGIN CONFIG read|write DEPTH BLOCK_BYTES COMMANDS [SIZE_MIB]
// Prints commands per second and what a doorbell carried. `COMMANDS` is a number, so that two runs
// of different lengths under callgrind give the instructions of one command as a difference.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <semaphore>

#include "tests/ring/cdb.h"
#include "tests/ring/host.h"

using namespace ballast::ring_test;

namespace {

struct Job {
  Lun* lun = nullptr;
  bool write = false;
  std::uint32_t blocks = 0;  // of 512 bytes, per command
  std::uint64_t places = 0;  // commands that fit the LUN side by side
  std::atomic<std::int64_t> left{0};
  std::atomic<std::uint64_t> failed{0};
  std::counting_semaphore<> finished{0};
};

struct Slot {
  Job* job = nullptr;
  std::minstd_rand random;
  std::vector<std::byte> buffer;

  void next() {
    if (job->left.fetch_sub(1, std::memory_order_relaxed) <= 0) {
      job->finished.release();
      return;
    }
    const std::uint64_t lba = random() % job->places * job->blocks;
    const Cdb cdb = job->write ? write_16(lba, job->blocks) : read_16(lba, job->blocks);
    if (!job->lun->submit(cdb, job->write ? Direction::to_device : Direction::from_device, buffer,
                          {&Slot::answered, this})) {
      std::fprintf(stderr, "the ring is full\n");
      std::exit(1);
    }
  }

  static void answered(void* self, const Answer& answer) {
    Slot& slot = *static_cast<Slot*>(self);
    if (answer.status != 0) {
      slot.job->failed.fetch_add(1, std::memory_order_relaxed);
    }
    slot.next();
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 7) {
    std::fprintf(stderr,
                 "usage: bench PLUGIN CONFIG read|write DEPTH BLOCK_BYTES COMMANDS [SIZE_MIB]\n");
    return 2;
  }
  load_plugin(argv[1]);
  const std::size_t depth = std::strtoul(argv[4], nullptr, 0);
  const std::size_t bytes = std::strtoul(argv[5], nullptr, 0);
  const std::uint64_t commands = std::strtoull(argv[6], nullptr, 0);
  LunOptions options;
  options.size = (argc > 7 ? std::strtoull(argv[7], nullptr, 0) : 256) << 20;
  const auto lun = Lun::add(argv[2], options);
  if (lun == nullptr) {
    std::fprintf(stderr, "%s", take_log().c_str());
    return 1;
  }
  Job job;
  job.lun = lun.get();
  job.write = std::strcmp(argv[3], "write") == 0;
  job.blocks = static_cast<std::uint32_t>(bytes / 512);
  job.places = options.size / bytes;
  job.left = static_cast<std::int64_t>(commands);
  std::vector<Slot> slots(depth);
  for (std::size_t i = 0; i < depth; ++i) {
    slots[i].job = &job;
    slots[i].random.seed(static_cast<unsigned>(i + 1));
    slots[i].buffer.resize(bytes, std::byte{0x5a});
  }
  const auto start = std::chrono::steady_clock::now();
  for (Slot& slot : slots) {
    slot.next();
  }
  for (std::size_t i = 0; i < depth; ++i) {
    job.finished.acquire();
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  const HostStats stats = lun->stats();
  std::printf("%10.0f commands/s  %6.2f answers/doorbell\n",
              static_cast<double>(commands) / took.count(),
              static_cast<double>(stats.answers) / static_cast<double>(stats.doorbells));
  if (job.failed > 0) {
    std::fprintf(stderr, "%llu commands failed\n", static_cast<unsigned long long>(job.failed));
    return 1;
  }
  return 0;
}
