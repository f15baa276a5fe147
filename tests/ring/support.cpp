// SPDX-License-Identifier: Apache-2.0
#include "tests/ring/support.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <semaphore>
#include <thread>

#include "lib/base/assert.h"

namespace ballast::ring_test {

void load_built_plugin() {
  const char* const plugin = std::getenv("BALLAST_PLUGIN");
  load_plugin(plugin != nullptr ? plugin : "build/handler_ballast.so");
}

std::vector<std::byte> bytes_of(std::size_t count, unsigned seed) {
  std::vector<std::byte> data(count);
  for (std::size_t i = 0; i < count; ++i) {
    data[i] = static_cast<std::byte>((i * 31 + seed) % 251 + 1);
  }
  return data;
}

std::vector<std::byte> copy_list(std::span<const std::byte> page_83, std::size_t from,
                                 std::size_t to, std::size_t count) {
  std::vector<std::byte> list(16 + 32 + 28);
  list[3] = std::byte{32};
  list[11] = std::byte{28};
  list[16] = std::byte{0xe4};
  list[20] = std::byte{0x01};
  list[21] = std::byte{0x03};
  list[23] = std::byte{16};
  // Behind the page's header, its first designator, and the header of the second one.
  const std::size_t naa = 4 + 4 + static_cast<std::size_t>(page_83[7]) + 4;
  std::ranges::copy(page_83.subspan(naa, 16), list.begin() + 24);
  list[48] = std::byte{0x02};
  list[51] = std::byte{24};
  list[59] = std::byte(count);
  list[66] = std::byte(from >> 8);
  list[67] = std::byte(from);
  list[74] = std::byte(to >> 8);
  list[75] = std::byte(to);
  return list;
}

std::vector<std::byte> caching_page(Lun& lun) {
  std::vector<std::byte> list(255);
  const Answer sensed = lun.execute(Cdb{0x1a, 8, 8, 0, 255, 0}, Direction::from_device, list);
  if (sensed.status != 0 || sensed.transferred <= 4) {
    return {};
  }
  list.resize(sensed.transferred);
  list[0] = list[2] = std::byte{0};
  list[4] &= std::byte{0x3f};
  return list;
}

Answer mode_select(Lun& lun, std::vector<std::byte>& list) {
  return lun.execute(Cdb{0x15, 0x10, 0, 0, static_cast<unsigned>(list.size()), 0},
                     Direction::to_device, list);
}

Folder::Folder(const char* parent) : path_{std::string{parent} + "/ballast-ring-XXXXXX"} {
  BALLAST_ASSERT(::mkdtemp(path_.data()) != nullptr);
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

bool has_direct_io(const char* parent) {
  const Folder folder{parent};
  const int fd =
      ::open(folder.file("probe").c_str(), O_CREAT | O_RDWR | O_DIRECT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return false;
  }
  ::close(fd);
  return true;
}

bool has_attributes(const char* parent) {
  const Folder folder{parent};
  const std::string file = folder.file("probe");
  std::ofstream{file} << "x";
  return ::setxattr(file.c_str(), "user.ballast.probe", "x", 1, 0) == 0;
}

bool eventually(const std::function<bool()>& holds, int looks) {
  for (int i = 0; i < looks; ++i) {
    if (holds()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds{10});
  }
  return false;
}

bool log_says(std::string& log, const std::vector<const char*>& all) {
  return eventually([&] {
    log += take_log();
    for (const char* const text : all) {
      if (std::strstr(log.c_str(), text) == nullptr) {
        return false;
      }
    }
    return true;
  });
}

Standstill::Standstill()
    : thread_{[this] {
        using Clock = std::chrono::steady_clock;
        for (Clock::time_point last = Clock::now(); !over_;) {
          std::this_thread::sleep_for(std::chrono::milliseconds{10});
          const Clock::time_point now = Clock::now();
          longest_ = std::max(longest(),
                              std::chrono::duration_cast<std::chrono::milliseconds>(now - last));
          last = now;
        }
      }} {}
Standstill::~Standstill() {
  over_ = true;
  thread_.join();
}

std::uint64_t seed() {
  const char* const given = std::getenv("BALLAST_SEED");
  const std::uint64_t value =
      given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  std::fprintf(stderr, "BALLAST_SEED=%llu\n", static_cast<unsigned long long>(value));
  return value;
}

void Countdown::one(void* self, const Answer& answer) {
  Countdown& countdown = *static_cast<Countdown*>(self);
  const std::lock_guard guard{countdown.mutex_};
  if (answer.status == 0) {
    ++countdown.good_;
  } else {
    ++countdown.bad_;
    countdown.last_bad_ = answer;
  }
  --countdown.left_;
}

bool Countdown::wait() {
  for (int i = 0; i < 300000; ++i) {
    {
      const std::lock_guard guard{mutex_};
      if (left_ == 0) {
        return true;
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds{200});
  }
  return false;
}

std::size_t Countdown::good() const {
  const std::lock_guard guard{mutex_};
  return good_;
}
std::size_t Countdown::bad() const {
  const std::lock_guard guard{mutex_};
  return bad_;
}
Answer Countdown::last_bad() const {
  const std::lock_guard guard{mutex_};
  return last_bad_;
}

namespace {

constexpr std::size_t region_blocks = 64;

struct Load;

// One region and the command that is under way there.
struct Worker {
  enum class Kind : std::uint8_t { read, write, zero, flush, compare };
  Load* load = nullptr;
  std::uint64_t first_lba = 0;
  std::mt19937_64 random;
  std::vector<std::byte> model;   // what the region holds
  std::vector<std::byte> buffer;  // what is under way
  Kind kind = Kind::read;
  std::size_t at = 0;  // block within the region
  std::size_t blocks = 0;
  bool finished = false;

  static void answered(void* self, const Answer& answer);
  void next();
  void check(const Answer& answer);
  std::span<std::byte> model_part();
};

struct Load {
  Lun& lun;
  std::size_t block_size;
  std::atomic<std::int64_t> left;
  std::atomic<std::uint64_t> failed{0}, mismatches{0}, commands{0};
  std::mutex mutex;
  Answer first_failure;
  std::counting_semaphore<> workers_done{0};
};

std::span<std::byte> Worker::model_part() {
  return std::span{model}.subspan(at * load->block_size, blocks * load->block_size);
}

void Worker::answered(void* self, const Answer& answer) {
  Worker& worker = *static_cast<Worker*>(self);
  worker.check(answer);
  worker.next();
}

void Worker::check(const Answer& answer) {
  if (answer.status != 0) {
    if (load->failed.fetch_add(1) == 0) {
      const std::lock_guard guard{load->mutex};
      load->first_failure = answer;
    }
    return;
  }
  const std::span<std::byte> part = model_part();
  switch (kind) {
    case Kind::read:
      if (answer.transferred != part.size() ||
          std::memcmp(buffer.data(), part.data(), part.size()) != 0) {
        ++load->mismatches;
      }
      break;
    case Kind::write:
      std::memcpy(part.data(), buffer.data(), part.size());
      break;
    case Kind::compare:
      std::memcpy(part.data(), buffer.data() + part.size(), part.size());
      break;
    case Kind::zero:
      std::memset(part.data(), 0, part.size());
      break;
    case Kind::flush:
      break;
  }
}

void Worker::next() {
  if (load->left.fetch_sub(1) <= 0) {
    finished = true;
    load->workers_done.release();
    return;
  }
  ++load->commands;
  at = random() % region_blocks;
  blocks = 1 + random() % (region_blocks - at);
  const std::uint64_t lba = first_lba + at;
  const auto count = static_cast<std::uint32_t>(blocks);
  const std::uint64_t choice = random() % 100;
  kind = choice < 45   ? Kind::read
         : choice < 85 ? Kind::write
         : choice < 92 ? Kind::zero
         : choice < 97 ? Kind::compare
                       : Kind::flush;
  const std::size_t bytes = blocks * load->block_size;
  Cdb cdb;
  Direction direction = Direction::to_device;
  std::size_t length = bytes;
  switch (kind) {
    case Kind::read:
      cdb = read_16(lba, count);
      direction = Direction::from_device;
      break;
    case Kind::write:
      cdb = cdb_16(0x8a, lba, count, random() % 8 == 0 ? 0x08 : 0);  // FUA now and then
      for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
        const std::uint64_t word = random();
        std::memcpy(buffer.data() + i, &word, sizeof word);
      }
      break;
    case Kind::zero:  // WRITE SAME (16), half of them with UNMAP
      cdb = cdb_16(0x93, lba, count, random() % 2 == 0 ? 0x08 : 0);
      length = load->block_size;
      std::memset(buffer.data(), 0, length);
      break;
    case Kind::compare:
      blocks = std::min<std::size_t>(blocks, 16);
      cdb = cdb_16(0x89, lba, 0);
      cdb.bytes[10] = cdb.bytes[11] = cdb.bytes[12] = 0;
      cdb.bytes[13] = static_cast<std::uint8_t>(blocks);
      std::memcpy(buffer.data(), model_part().data(), model_part().size());
      std::memset(buffer.data() + model_part().size(), static_cast<int>(random() % 256),
                  model_part().size());
      length = 2 * model_part().size();
      break;
    case Kind::flush:
      cdb = cdb_10(0x35, 0, 0);
      direction = Direction::none;
      length = 0;
      break;
  }
  const bool queued =
      load->lun.submit(cdb, direction, std::span{buffer}.first(length), {&Worker::answered, this});
  BALLAST_ASSERT(queued);
}

}  // namespace

LoadResult random_load(Lun& lun, std::uint64_t commands, std::size_t depth, std::size_t block_size,
                       std::uint64_t seed, std::vector<std::byte>* contents) {
  const std::size_t region_bytes = region_blocks * block_size;
  if (contents != nullptr) {
    contents->resize(depth * region_bytes);
  }
  Load load{.lun = lun,
            .block_size = block_size,
            .left = static_cast<std::int64_t>(commands),
            .mutex = {},
            .first_failure = {}};
  std::vector<Worker> workers(depth);
  for (std::size_t i = 0; i < depth; ++i) {
    Worker& worker = workers[i];
    worker.load = &load;
    worker.first_lba = i * region_blocks;
    worker.random.seed(seed + i);
    worker.model.resize(region_bytes);
    if (contents != nullptr) {
      std::copy_n(contents->data() + i * region_bytes, region_bytes, worker.model.data());
    }
    worker.buffer.resize(region_bytes);
  }
  for (Worker& worker : workers) {
    worker.next();
  }
  for (std::size_t i = 0; i < depth; ++i) {
    load.workers_done.acquire();
  }
  for (std::size_t i = 0; contents != nullptr && i < depth; ++i) {
    std::copy_n(workers[i].model.data(), region_bytes, contents->data() + i * region_bytes);
  }
  return {.commands = load.commands,
          .failed = load.failed,
          .mismatches = load.mismatches,
          .first_failure = load.first_failure};
}

}  // namespace ballast::ring_test
