// SPDX-License-Identifier: Apache-2.0
// Measures how long it takes to open a write log, after a process that left changes in it.
//
//   log_open_bench FOLDER LOG_MIB DIRTY_MIB CHANGE_KIB [sparse]
//
// The log is a file in FOLDER, used with O_DIRECT. Changes of CHANGE_KIB fill DIRTY_MIB of it, 32
// at a time, for a store that takes nothing. Then it is opened five times. `sparse`: the log is not
// written once, only its superblock is there; so it may be far larger than the disk.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "lib/backend/filter.h"
#include "lib/base/log.h"
#include "lib/co/sim_executor.h"
#include "lib/write_log/create.h"
#include "lib/write_log/write_log.h"
#include "tests/unit/backend/lab.h"

using namespace ballast;
using namespace ballast::write_log;
using Clock = std::chrono::steady_clock;

namespace {

constexpr Bytes lun{std::uint64_t{64} << 30};
constexpr std::uint32_t block = 512;
constexpr std::size_t writers = 32;
constexpr int openings = 5;

void no_log(LogLevel, std::string_view) {}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

class TakesNothing final : public backend::Filter {
 public:
  explicit TakesNothing(std::unique_ptr<backend::Backend> inner)
      : Filter{*inner}, inner_{std::move(inner)} {}
  co::Task<IoStatus> write(Bytes, io::SgView, backend::Fua, co::CancelToken) override {
    co_return IoStatus::medium_error;
  }

 private:
  std::unique_ptr<backend::Backend> inner_;
};

std::unique_ptr<backend::Backend> open_file(test::Lab& lab, const std::string& path, Bytes size) {
  auto opened = test::open_now(test::file_config(path, backend::CacheMode::direct),
                               lab.context(size, Bytes{block}));
  if (!opened.ok()) {
    std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    std::exit(1);
  }
  return std::move(opened).value();
}

co::Task<IoStatus> write_superblock(co::Executor&, backend::Backend* device, Identity identity) {
  const io::PageMemory memory = io::make_page_memory(page);
  Superblock superblock;
  superblock.slot_sequence = 1;
  superblock.lun = identity.lun;
  superblock.block = identity.block;
  superblock.segments =
      static_cast<std::uint32_t>((device->geometry().size.value() - ring_begin) / segment_bytes);
  superblock.tail = {.sequence = 1, .offset = ring_begin, .link = 0};
  encode(superblock, Page{memory.get(), page});
  const iovec segment{memory.get(), page};
  const io::SgView view{std::span{&segment, 1}};
  const IoStatus status = co_await device->write(Bytes{0}, view, backend::Fua::no);
  co_return status;
}

struct Fill {
  WriteLog& log;
  std::uint64_t bytes = 0;
  std::uint64_t change = 0;
  std::uint64_t done = 0;
  co::Random random{1};
};

co::Task<void> write_some(co::Executor&, Fill* fill) {
  const io::PageMemory memory = io::make_page_memory(fill->change);
  std::memset(memory.get(), 'x', fill->change);
  const iovec segment{memory.get(), fill->change};
  const io::SgView view{std::span{&segment, 1}};
  while (fill->done < fill->bytes) {
    fill->done += fill->change;
    const std::uint64_t place = fill->random.below(lun.value() / fill->change);
    const Change change{.kind = Kind::data,
                        .lba = Lba{place * fill->change / block},
                        .blocks = BlockCount{fill->change / block},
                        .data = view};
    const IoStatus status = co_await fill->log.append(change, Until::written);
    BALLAST_ASSERT(ok(status));
  }
}

std::unique_ptr<WriteLog> open_log(test::Lab& lab, backend::Backend& device,
                                   backend::Backend& store, const Identity& identity) {
  WriteLog::Options options;
  options.identity = identity;
  Result<std::unique_ptr<WriteLog>> opened = lab.run(WriteLog::open(device, store, options));
  if (!opened.ok()) {
    std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    std::exit(1);
  }
  return std::move(opened).value();
}

void run(const std::string& under, Bytes size, Bytes dirty, Bytes change, bool sparse) {
  const test::Folder folder{under};
  test::Lab lab;
  const std::unique_ptr<backend::Backend> device = open_file(lab, folder.file("log"), size);
  TakesNothing store{open_file(lab, folder.file("store"), lun)};
  Identity identity;
  identity.lun = lun;
  identity.block = block;
  if (sparse) {
    BALLAST_ASSERT(ok(lab.run(write_superblock(lab.executor(), device.get(), identity))));
  } else {
    BALLAST_ASSERT(lab.run(create(*device, NewLog{.identity = identity})).ok());
  }
  std::unique_ptr<WriteLog> log = open_log(lab, *device, store, identity);
  Fill fill{.log = *log, .bytes = dirty.value(), .change = change.value()};
  co::TaskGroup tasks{lab.executor()};
  for (std::size_t i = 0; i < writers; ++i) {
    tasks.spawn("writer", write_some(lab.executor(), &fill));
  }
  lab.drain(tasks);
  lab.run(log->close());
  std::vector<double> times;
  for (int i = 0; i < openings; ++i) {
    const Clock::time_point begin = Clock::now();
    log = open_log(lab, *device, store, identity);
    times.push_back(seconds_since(begin));
    if (i == 0) {
      std::printf("%llu of 1000 full, %llu blocks\n",
                  static_cast<unsigned long long>(log->fullness()),
                  static_cast<unsigned long long>(log->written()));
    }
    lab.run(log->close());
  }
  std::ranges::sort(times);
  std::printf("opened in %.3f s (%.3f to %.3f)\n", times[openings / 2], times.front(),
              times.back());
  lab.run(device->close());
  lab.run(store.close());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: log_open_bench FOLDER LOG_MIB DIRTY_MIB CHANGE_KIB [sparse]\n");
    return 1;
  }
  const auto number = [argv](int i) { return std::strtoull(argv[i], nullptr, 10); };
  set_log_sink(&no_log);
  run(argv[1], Bytes{number(2) << 20}, Bytes{number(3) << 20}, Bytes{number(4) << 10}, argc > 5);
  return 0;
}
