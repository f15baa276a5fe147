// SPDX-License-Identifier: Apache-2.0
// A log on a real file, in front of a store in a real file.
#include <algorithm>
#include <cstdio>
#include <vector>

#include "lib/co/sim_executor.h"
#include "lib/write_log/create.h"
#include "lib/write_log/write_log.h"
#include "tests/unit/backend/lab.h"
#include "tests/unit/write_log/read_range.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;

namespace {

constexpr Bytes lun{8 << 20};
constexpr std::uint32_t block = 512;

struct Site {
  Site() {
    const Bytes size{ring_begin + fewest_segments * segment_bytes};
    device = open(folder.file("log"), size);
    store = open(folder.file("store"), lun);
    options.identity.lun = lun;
    options.identity.block = block;
  }
  ~Site() {
    lab.run(device->close());
    lab.run(store->close());
  }
  std::unique_ptr<backend::Backend> open(const std::string& path, Bytes size) {
    auto opened = test::open_now(test::file_config(path, backend::CacheMode::direct),
                                 lab.context(size, Bytes{block}));
    if (!opened.ok()) {
      std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    }
    return std::move(opened).value();
  }
  std::unique_ptr<WriteLog> open_log() {
    Result<std::unique_ptr<WriteLog>> opened = lab.run(WriteLog::open(*device, *store, options));
    if (!opened.ok()) {
      std::fprintf(stderr, "%s\n", opened.error().message.c_str());
    }
    return std::move(opened).value();
  }

  test::Folder folder;
  test::Lab lab;
  std::unique_ptr<backend::Backend> device;
  std::unique_ptr<backend::Backend> store;
  WriteLog::Options options;
};

// Writes ranges of all sizes and alignments, in pieces of memory of odd sizes.
co::Task<void> write_all(co::Executor&, WriteLog* log, std::vector<std::byte>* image) {
  co::Random random{1};
  for (int i = 0; i < 60; ++i) {
    const std::uint64_t blocks = 1 + random.below(i % 10 == 0 ? 5000 : 40);
    const std::uint64_t lba = random.below(lun.value() / block - blocks);
    const std::span<std::byte> bytes = std::span{*image}.subspan(lba * block, blocks * block);
    std::ranges::generate(bytes, [&random] { return static_cast<std::byte>(random.next()); });
    std::vector<iovec> segments;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t length = std::min<std::size_t>(bytes.size() - at, i % 3 == 0 ? 1000 : 4096);
      segments.push_back({.iov_base = bytes.data() + at, .iov_len = length});
      at += length;
    }
    const Change change{.kind = Kind::data,
                        .lba = Lba{lba},
                        .blocks = BlockCount{blocks},
                        .data = io::SgView{segments}};
    const Until until = i % 2 == 0 ? Until::durable : Until::written;
    const IoStatus status = co_await log->append(change, until);
    BALLAST_ASSERT(ok(status));
  }
}

void read_all(Site& site, WriteLog& log, std::vector<std::byte>* to) {
  assert_true(ok(site.lab.run(test::read_range(log, *site.store, block, Lba{}, *to))));
}

void what_is_written_is_read_after_each_opening_and_at_last_from_the_store(void**) {
  Site site;
  assert_true(site.lab.run(create(*site.device, NewLog{.identity = site.options.identity})).ok());
  std::vector<std::byte> image(lun.value());
  std::vector<std::byte> found(lun.value());
  std::unique_ptr<WriteLog> log = site.open_log();
  site.lab.run(write_all(site.lab.executor(), log.get(), &image));
  read_all(site, *log, &found);
  assert_true(found == image);
  site.lab.run(log->close());
  log = site.open_log();
  std::ranges::fill(found, std::byte{});
  read_all(site, *log, &found);
  assert_true(found == image);
  assert_true(ok(site.lab.run(log->drain())));
  assert_false(log->covers(Lba{0}, BlockCount{1}));
  assert_true(log->empty() || log->fullness() == 0);
  std::ranges::fill(found, std::byte{});
  read_all(site, *log, &found);
  assert_true(found == image);
  site.lab.run(log->close());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(what_is_written_is_read_after_each_opening_and_at_last_from_the_store),
  };
  return cmocka_run_group_tests_name("on_file", tests, nullptr, nullptr);
}
