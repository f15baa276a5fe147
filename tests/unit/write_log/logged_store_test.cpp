// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/logged_store.h"

#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/backend/checked.h"
#include "lib/backend/filter.h"
#include "lib/backend/log_control.h"
#include "lib/base/log.h"
#include "lib/co/sim_executor.h"
#include "lib/write_log/create.h"
#include "tests/unit/volume/spy_backend.h"

// after the others
#include "tests/cmocka.h"

using namespace ballast;
using namespace ballast::write_log;
using namespace std::chrono_literals;
using backend::Fua;
using backend::Label;
using backend::MayUnmap;

namespace {

constexpr std::uint32_t block = 512;
constexpr Bytes lun{std::uint64_t{8} << 20};
constexpr Bytes log_size{ring_begin + fewest_segments * segment_bytes};

void no_log(LogLevel, std::string_view) {}

// A spy with a place for a label.
class Labelled final : public backend::Filter {
 public:
  explicit Labelled(std::unique_ptr<test::SpyBackend> inner)
      : Filter{*inner}, inner_{std::move(inner)} {}
  co::Task<Result<void>> write_label(std::optional<Label> label) override {
    if (refusals > 0) {
      --refusals;
      co_return Error{EIO, "no"};
    }
    ops_before_label = inner_->ops.size();
    written = label;
    co_return Result<void>{};
  }
  std::optional<Label> written;
  std::size_t ops_before_label = 0;
  unsigned refusals = 0;

 private:
  std::unique_ptr<test::SpyBackend> inner_;
};

struct Answer {
  bool came = false;
  IoStatus status = IoStatus::ok;
};

class Site {
 public:
  Site() : sim{1}, tasks{sim.executor()} {
    auto on_disk = std::make_unique<test::SpyBackend>(sim.executor(), log_size, Bytes{block});
    disk = on_disk.get();
    disk->pretend().volatile_cache = true;
    auto below = std::make_unique<test::SpyBackend>(sim.executor(), lun, Bytes{block});
    store = below.get();
    below->pretend().zero_unmaps = true;
    auto labelled = std::make_unique<Labelled>(std::move(below));
    label = labelled.get();
    std::unique_ptr<backend::Backend> checked_disk = backend::make_checked(std::move(on_disk));
    std::unique_ptr<backend::Backend> checked_store = backend::make_checked(std::move(labelled));
    Identity identity;
    identity.store[0] = 7;
    identity.lun = lun;
    identity.block = block;
    const Label its{.store = identity.store, .log = {1}, .owner = 0, .host = "h", .path = "/log"};
    NewLog wanted;
    wanted.log = its.log;
    wanted.identity = identity;
    BALLAST_ASSERT(run(create(*checked_disk, wanted)).ok());
    WriteLog::Options options;
    options.identity = identity;
    auto log = std::move(run(WriteLog::open(*checked_disk, *checked_store, options))).value();
    auto both = std::make_unique<LoggedStore>(std::move(checked_store), std::move(checked_disk),
                                              std::move(log), its, block);
    write_log = &both->write_log();
    backend = backend::make_checked(std::move(both));
    store->ops.clear();
    disk->ops.clear();
  }
  ~Site() {
    thaw();
    disk->failures.clear();
    store->failures.clear();
    tasks.spawn("close", close(sim.executor(), backend.get()));
    sim.run_for(1min);
    BALLAST_ASSERT(tasks.live() == 0);
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  void freeze() { store->gate.reset(); }
  void thaw() {
    store->gate.set();
    disk->gate.set();
  }

  template <class T>
  T run(co::Task<T> task) {
    std::optional<T> result;
    tasks.spawn("test", keep(sim.executor(), std::move(task), &result));
    sim.run_for(10ms);
    BALLAST_ASSERT(result.has_value());
    return std::move(*result);
  }
  Answer& begin(co::Task<IoStatus> task) {
    Answer& answer = answers_.emplace_back();
    tasks.spawn("test", tell(sim.executor(), std::move(task), &answer));
    sim.run_for(10ms);
    return answer;
  }

  io::SgView data(std::uint64_t blocks, char byte) {
    std::vector<std::byte>& bytes = data_.emplace_back(blocks * block, std::byte(byte));
    segments_.push_back({.iov_base = bytes.data(), .iov_len = bytes.size()});
    return io::SgView{std::span<const iovec>{&segments_.back(), 1}};
  }
  static Bytes at(std::uint64_t lba) { return Bytes{lba * block}; }
  co::Task<IoStatus> write(std::uint64_t lba, std::uint64_t blocks, char byte, Fua fua = Fua::no,
                           co::CancelToken cancel = {}) {
    return backend->write(at(lba), data(blocks, byte), fua, cancel);
  }
  // What the blocks hold, one character each.
  std::string read(std::uint64_t lba, std::uint64_t blocks) {
    const io::SgView to = data(blocks, '?');
    const std::vector<std::byte>& bytes = data_.back();
    BALLAST_ASSERT(ok(run(backend->read(at(lba), to))));
    std::string text;
    for (std::uint64_t i = 0; i < blocks; ++i) {
      text += static_cast<char>(bytes[i * block]);
    }
    return text;
  }
  // Puts data into the store, as another owner of it has done before.
  void put_in_store(std::uint64_t lba, std::uint64_t blocks, char byte) {
    BALLAST_ASSERT(ok(run(store->write(at(lba), data(blocks, byte), Fua::no, {}))));
    store->ops.clear();
  }
  std::size_t count(const std::vector<test::BackendOp>& ops, std::string_view name) const {
    return static_cast<std::size_t>(std::ranges::count(ops, name, &test::BackendOp::name));
  }
  bool covers(std::uint64_t lba, std::uint64_t blocks) const {
    return backend->log_coverage()->covers(Lba{lba}, BlockCount{blocks});
  }

  co::SimExecutor sim;
  co::TaskGroup tasks;
  test::SpyBackend* disk = nullptr;
  test::SpyBackend* store = nullptr;
  Labelled* label = nullptr;
  WriteLog* write_log = nullptr;
  std::unique_ptr<backend::Backend> backend;

 private:
  template <class T>
  static co::Task<void> keep(co::Executor&, co::Task<T> task, std::optional<T>* result) {
    T value = co_await std::move(task);
    result->emplace(std::move(value));
  }
  static co::Task<void> tell(co::Executor&, co::Task<IoStatus> task, Answer* answer) {
    answer->status = co_await std::move(task);
    answer->came = true;
  }
  static co::Task<void> close(co::Executor&, backend::Backend* backend) {
    co_await backend->close();
  }
  std::deque<Answer> answers_;
  std::deque<std::vector<std::byte>> data_;
  std::deque<iovec> segments_;
};

void a_read_takes_each_block_from_where_its_newest_data_is(void**) {
  Site site;
  site.put_in_store(10, 6, 's');
  assert_true(ok(site.run(site.write(11, 2, 'a'))));
  assert_true(ok(site.run(site.backend->zero(site.at(14), site.at(1), MayUnmap::no))));
  const std::string text = site.read(10, 6);
  const char expected[] = {'s', 'a', 'a', 's', '\0', 's'};
  assert_memory_equal(text.data(), expected, sizeof expected);
  assert_int_equal(site.count(site.store->ops, "read"), 3);
}

// Also if the log gets newer data of them meanwhile.
void it_says_which_blocks_are_read_from_the_store(void**) {
  Site site;
  const auto reads = [&](std::uint64_t lba, std::uint64_t blocks) {
    return site.backend->log_coverage()->reads_store(Lba{lba}, BlockCount{blocks});
  };
  assert_true(ok(site.run(site.write(11, 2, 'a'))));
  site.freeze();
  const Answer& read = site.begin(site.backend->read(site.at(11), site.data(4, '?')));
  assert_true(ok(site.run(site.write(13, 2, 'b'))));
  assert_true(site.covers(11, 4) && !read.came);
  assert_true(reads(11, 3) && reads(14, 1) && !reads(11, 2) && !reads(15, 1));
  site.thaw();
  site.sim.run_for(10ms);
  assert_true(read.came && !reads(11, 4));
}

void changes_flushes_and_covered_reads_need_nothing_of_the_store(void**) {
  Site site;
  site.freeze();
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  assert_true(ok(site.run(site.write(12, 2, 'b', Fua::yes))));
  assert_true(ok(site.run(site.backend->discard(site.at(20), site.at(4)))));
  assert_true(ok(site.run(site.backend->flush())));
  assert_string_equal(site.read(10, 4).c_str(), "aabb");
  assert_true(site.covers(10, 4) && site.covers(20, 4) && !site.covers(10, 5));
  assert_true(site.backend->log_coverage()->takes_changes());
  const Answer& missing = site.begin(site.backend->read(site.at(13), site.data(2, '?')));
  site.sim.run_for(60s);
  assert_false(missing.came);
  site.thaw();
  site.sim.run_for(10ms);
  assert_true(missing.came && ok(missing.status));
}

void a_write_with_fua_is_durable_in_the_log(void**) {
  Site site;
  assert_true(site.backend->capabilities().fua);
  assert_true(ok(site.run(site.write(10, 2, 'a', Fua::yes))));
  assert_int_equal(site.count(site.disk->ops, "flush"), 1);
}

void the_store_gets_all_of_it_in_the_end(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.sim.run_for(30s);
  assert_true(site.write_log->empty());
  assert_false(site.covers(10, 2));
  assert_string_equal(site.read(10, 2).c_str(), "aa");
  assert_int_equal(site.count(site.store->ops, "write"), 1);
}

void an_unmap_gives_space_of_the_store_back(void**) {
  Site site;
  assert_true(ok(site.run(site.backend->discard(site.at(8), site.at(8)))));
  site.sim.run_for(30s);
  const test::BackendOp unmapped{"zero", 8 * block, 8 * block, true};
  assert_true(site.store->ops.front() == unmapped);
}

void block_status_shows_what_the_log_has(void**) {
  Site site;
  assert_true(ok(site.run(site.write(8, 8, 'a'))));
  assert_true(ok(site.run(site.backend->discard(site.at(16), site.at(8)))));
  std::vector<backend::Extent> extents;
  assert_true(ok(site.run(site.backend->block_status(site.at(0), site.at(32), 10, &extents))));
  assert_int_equal(extents.size(), 3);
  assert_true(!extents[0].allocated && extents[0].length == site.at(8));
  assert_true(extents[1].allocated && extents[1].length == site.at(8));
  assert_true(!extents[2].allocated && extents[2].length == site.at(16));
  extents.clear();
  assert_true(ok(site.run(site.backend->block_status(site.at(0), site.at(32), 2, &extents))));
  assert_int_equal(extents.size(), 2);
}

void block_status_of_many_small_records_may_end_early(void**) {
  Site site;
  for (std::uint64_t i = 0; i < 400; ++i) {
    assert_true(ok(site.run(site.write(i, 1, 'a'))));
  }
  std::vector<backend::Extent> extents;
  assert_true(ok(site.run(site.backend->block_status(site.at(0), site.at(400), 64, &extents))));
  assert_int_equal(extents.size(), 1);
  assert_true(extents[0].allocated && extents[0].length >= site.at(300));
}

void a_store_that_grows_is_as_large_before_the_log_says_so(void**) {
  Site site;
  assert_true(ok(site.run(site.backend->resize(Bytes{2 * lun.value()}))));
  assert_true(site.backend->geometry().size == Bytes{2 * lun.value()});
  assert_true(site.store->ops.front().name == "resize" && site.store->ops.back().name == "flush");
  const std::uint64_t last = 2 * lun.value() / block - 1;
  assert_true(ok(site.run(site.write(last, 1, 'z'))));
  assert_string_equal(site.read(last, 1).c_str(), "z");
}

void a_resize_that_fails_leaves_the_size(void**) {
  Site site;
  site.store->failures["flush"] = IoStatus::medium_error;
  assert_false(ok(site.run(site.backend->resize(Bytes{2 * lun.value()}))));
  assert_true(site.backend->geometry().size == lun);
  site.store->failures.clear();
  assert_true(ok(site.run(site.backend->resize(Bytes{2 * lun.value()}))));
  assert_true(site.backend->geometry().size == Bytes{2 * lun.value()});
}

void a_store_grows_even_if_its_log_fails(void**) {
  Site site;
  site.disk->failures["write"] = IoStatus::medium_error;  // of the superblock
  assert_true(ok(site.run(site.backend->resize(Bytes{2 * lun.value()}))));
  assert_true(site.backend->geometry().size == Bytes{2 * lun.value()});
}

// The log is let go without it.
void a_change_on_its_way_when_a_resize_loses_the_log_is_not_indexed(void**) {
  for (const char* fails : {"write", "flush"}) {
    Site site;
    co::Event block_lands{site.sim.executor()};
    site.disk->gate_of = [&](const test::BackendOp& op) -> co::Event& {
      return op.name == "write" && op.offset >= ring_begin ? block_lands : site.disk->gate;
    };
    const Answer& on_its_way = site.begin(site.write(10, 1, 'x'));
    site.disk->failures[fails] = IoStatus::medium_error;  // of the superblock
    assert_true(ok(site.run(site.backend->resize(Bytes{2 * lun.value()}))));
    site.disk->failures.clear();
    const Answer& passes = site.begin(site.write(20, 1, 'p'));
    site.sim.run_for(5s);
    assert_true(passes.came && ok(passes.status));
    assert_false(on_its_way.came || site.label->written->names_log());
    site.freeze();
    block_lands.set();
    site.sim.run_for(10ms);
    assert_false(on_its_way.came || site.covers(10, 1));  // it goes to the store, too
    site.thaw();
    site.sim.run_for(10ms);
    assert_true(on_its_way.came && ok(on_its_way.status));
    assert_string_equal(site.read(10, 1).c_str(), "x");
  }
}

void a_log_that_fails_is_written_back_and_then_passed_by(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.disk->failures["write"] = IoStatus::medium_error;
  const Answer& during = site.begin(site.write(11, 2, 'b'));
  const Answer& flush = site.begin(site.backend->flush());
  site.sim.run_for(30s);
  assert_true(during.came && ok(during.status));
  assert_true(flush.came && ok(flush.status));
  assert_string_equal(site.read(10, 3).c_str(), "abb");
  // The store had all of the log before its label let the log go, and 'b' came after that.
  assert_true(site.label->written.has_value() && !site.label->written->names_log());
  assert_int_equal(site.label->written->owner, 1);
  const std::vector<test::BackendOp> before{
      site.store->ops.begin(),
      site.store->ops.begin() + static_cast<std::ptrdiff_t>(site.label->ops_before_label)};
  assert_int_equal(site.count(before, "write"), 1);
  assert_true(before.back().name == "flush");
  assert_false(site.backend->log_coverage()->takes_changes());
  assert_true(ok(site.run(site.write(30, 1, 'c', Fua::yes))));
  assert_true(site.store->ops.back().name == "flush" || site.store->ops.back().flag);
}

// What the second flush has lost, the first one has not made durable, although it ends well.
void past_a_log_no_flush_hides_the_failure_of_another(void**) {
  for (const bool flush : {false, true}) {
    Site site;
    site.store->pretend().fua = false;
    site.store->pretend().volatile_cache = true;
    site.disk->failures["write"] = IoStatus::medium_error;
    const Answer& passed = site.begin(site.write(5, 1, 'p'));
    site.sim.run_for(30s);
    assert_true(passed.came && ok(passed.status));
    co::Event first{site.sim.executor()};
    site.store->gate_of = [&](const test::BackendOp& op) -> co::Event& {
      return op.name == "flush" ? first : site.store->gate;
    };
    const Answer& write =
        site.begin(flush ? site.backend->flush() : site.write(10, 1, 'a', Fua::yes));
    site.store->gate_of = {};
    site.store->failures["flush"] = IoStatus::medium_error;
    const Answer& other = site.begin(site.write(20, 1, 'b', Fua::yes));
    assert_true(other.came && !ok(other.status));
    assert_false(write.came);
    site.store->failures.erase("flush");
    first.set();
    site.sim.run_for(10ms);
    assert_true(write.came && write.status == IoStatus::medium_error);
    assert_true(ok(site.run(site.write(10, 1, 'a', Fua::yes))));
  }
}

void an_unmap_past_a_log_leaves_zeros(void**) {
  Site site;
  assert_true(site.backend->capabilities().discard_zeroes);
  site.store->pretend().discard_zeroes = false;
  site.disk->failures["write"] = IoStatus::medium_error;
  const Answer& unmap = site.begin(site.backend->discard(site.at(8), site.at(8)));
  site.sim.run_for(1min);
  assert_true(unmap.came && ok(unmap.status));
  const test::BackendOp zeroed{"zero", 8 * block, 8 * block, true};
  assert_true(site.store->ops.back() == zeroed);
}

void a_change_that_waits_for_room_passes_a_log_that_fails_meanwhile(void**) {
  Site site;
  site.freeze();
  for (int i = 0; i < 100 && site.backend->log_coverage()->takes_changes(); ++i) {
    assert_true(ok(site.run(site.write(0, 2000, 'a'))));
  }
  const Answer& write = site.begin(site.write(1, 2000, 'b'));
  assert_false(write.came);
  site.disk->failures["write"] = IoStatus::medium_error;  // of a superblock, after the thaw
  site.thaw();
  site.sim.run_for(1min);
  assert_true(write.came && ok(write.status));
  assert_string_equal(site.read(0, 2).c_str(), "ab");
}

void a_change_that_the_log_may_have_is_not_called_undone(void**) {
  Site site;
  site.disk->failures["flush"] = IoStatus::medium_error;
  site.label->refusals = 1;
  const Answer& write = site.begin(site.write(10, 1, 'a', Fua::yes));
  assert_int_equal(site.count(site.store->ops, "write"), 1);  // the log wrote it back
  site.store->failures["write"] = IoStatus::no_resource;
  site.sim.run_for(1min);
  assert_true(write.came && write.status == IoStatus::medium_error);
}

void what_waits_for_a_failed_log_ends_when_it_is_cancelled(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.freeze();
  site.disk->failures["flush"] = IoStatus::medium_error;
  const Answer& flush = site.begin(site.backend->flush());
  co::CancelSource stop;
  const Answer& write = site.begin(site.write(20, 1, 'b', Fua::no, stop.token()));
  site.sim.run_for(30s);
  assert_false(flush.came || write.came);
  assert_false(site.backend->log_coverage()->takes_changes());
  assert_string_equal(site.read(10, 2).c_str(), "aa");
  stop.request();
  site.sim.run_for(10ms);
  assert_true(write.came && write.status == IoStatus::cancelled);
  site.thaw();
  site.sim.run_for(2min);
  assert_true(flush.came && ok(flush.status));
}

void changes_wait_until_the_label_lets_the_log_go(void**) {
  Site site;
  site.disk->failures["write"] = IoStatus::medium_error;
  site.label->refusals = 3;
  const Answer& write = site.begin(site.write(20, 1, 'b'));
  site.sim.run_for(5s);
  assert_false(write.came);
  assert_int_equal(site.count(site.store->ops, "write"), 0);
  site.sim.run_for(1min);
  assert_true(write.came && ok(write.status));
}

void changes_of_a_log_that_cannot_be_read_fail(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a', Fua::yes))));
  // The payload of the first block rots.
  const Bytes payload{ring_begin + page};
  assert_true(ok(site.run(site.disk->write(payload, site.data(1, 'x'), Fua::no, {}))));
  site.sim.run_for(30s);
  const Answer& write = site.begin(site.write(20, 1, 'b'));
  site.sim.run_for(1min);
  assert_true(write.came && write.status == IoStatus::medium_error);
  assert_int_equal(site.count(site.store->ops, "write"), 0);
  const Answer& read = site.begin(site.backend->read(site.at(10), site.data(1, '?')));
  assert_true(read.came && read.status == IoStatus::medium_error);
}

std::string state_of(Site& site) {
  return site.backend->log_control()->view().state;
}

void changes_of_a_log_whose_disk_died_fail(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a', Fua::yes))));
  site.disk->failures["write"] = IoStatus::medium_error;
  site.disk->failures["read"] = IoStatus::medium_error;
  const Answer& write = site.begin(site.write(20, 1, 'b'));
  const Answer& flush = site.begin(site.backend->flush());
  site.sim.run_for(1min);
  assert_true(write.came && write.status == IoStatus::medium_error);
  assert_true(flush.came && flush.status == IoStatus::medium_error);
  assert_string_equal(state_of(site).c_str(), "damaged");
  assert_int_equal(site.count(site.store->ops, "write"), 0);
  const Answer& read = site.begin(site.backend->read(site.at(10), site.data(1, '?')));
  assert_true(read.came && read.status == IoStatus::medium_error);
}

void a_log_that_cannot_be_read_for_a_moment_is_kept(void**) {
  Site site;
  for (const char byte : {'a', 'b'}) {
    site.disk->failures["read"] = IoStatus::medium_error;
    assert_true(ok(site.run(site.write(10, 2, byte))));
    site.sim.run_for(5s);
    assert_true(site.covers(10, 2));
    site.disk->failures.erase("read");
    site.sim.run_for(30s);
    assert_false(site.covers(10, 2));
    assert_string_equal(site.read(10, 1).c_str(), std::string(1, byte).c_str());
  }
  assert_string_equal(state_of(site).c_str(), "working");
}

// While its device is not ready, it is not damaged.
void what_waits_for_room_fails_once_the_log_cannot_be_read(void**) {
  Site site;
  site.disk->failures["read"] = IoStatus::not_ready;
  std::vector<const Answer*> writes;
  for (int i = 0; i < 100; ++i) {
    writes.push_back(&site.begin(site.write(0, 2000, 'a')));
  }
  site.sim.run_for(10min);
  assert_true(ok(writes.front()->status) && writes.front()->came);
  assert_false(writes.back()->came);
  assert_string_equal(state_of(site).c_str(), "working");
  site.disk->failures["read"] = IoStatus::medium_error;
  site.sim.run_for(10min);
  assert_string_equal(state_of(site).c_str(), "damaged");
  assert_true(std::ranges::all_of(writes, &Answer::came));
  assert_int_equal(writes.back()->status, IoStatus::medium_error);
}

void a_store_lets_its_log_go(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.backend->log_control()->want_to_let_go();
  assert_string_equal(state_of(site).c_str(), "letting go");
  site.sim.run_for(5s);
  assert_string_equal(state_of(site).c_str(), "let go");
  // The store had all of the log, durably, before its label let the log go.
  assert_true(site.label->written.has_value() && !site.label->written->names_log());
  assert_int_equal(site.label->written->owner, 1);
  assert_int_equal(site.count(site.store->ops, "write"), 1);
  assert_int_equal(site.label->ops_before_label, site.store->ops.size());
  assert_true(site.store->ops.back().name == "flush");
  const std::size_t disk_ops = site.disk->ops.size();
  assert_true(ok(site.run(site.write(11, 2, 'b', Fua::yes))));
  assert_int_equal(site.disk->ops.size(), disk_ops);
  assert_int_equal(site.count(site.store->ops, "write"), 2);
  assert_string_equal(site.read(10, 3).c_str(), "abb");
  assert_false(site.backend->log_coverage()->takes_changes());
  assert_true(site.backend->description().find("log=") == std::string::npos);
  assert_true(ok(site.run(site.backend->resize(Bytes{2 * lun.value()}))));
}

void an_empty_log_is_let_go_at_once(void**) {
  Site site;
  site.backend->log_control()->want_to_let_go();
  site.sim.run_for(1s);
  assert_string_equal(state_of(site).c_str(), "let go");
}

void a_log_is_kept_if_nobody_asks_again(void**) {
  Site site;
  site.freeze();
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.backend->log_control()->want_to_let_go();
  site.sim.run_for(backend::LogControl::wish_lasts / 2);
  assert_true(ok(site.run(site.write(12, 2, 'b'))));
  assert_string_equal(state_of(site).c_str(), "letting go");
  site.sim.run_for(backend::LogControl::wish_lasts);
  assert_string_equal(state_of(site).c_str(), "working");
  site.thaw();
  site.sim.run_for(1min);
  assert_false(site.label->written.has_value());
  assert_true(ok(site.run(site.write(14, 2, 'c'))));
  assert_true(site.covers(14, 2));
  site.backend->log_control()->want_to_let_go();
  site.sim.run_for(5s);
  assert_string_equal(state_of(site).c_str(), "let go");
}

void changes_wait_until_the_label_of_a_log_that_works_lets_it_go(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.label->refusals = 3;
  site.backend->log_control()->want_to_let_go();
  site.sim.run_for(2s);
  co::CancelSource stop;
  const Answer& write = site.begin(site.write(20, 1, 'b'));
  const Answer& cancelled = site.begin(site.write(21, 1, 'c', Fua::no, stop.token()));
  const Answer& flush = site.begin(site.backend->flush());
  assert_false(write.came || cancelled.came || flush.came);
  stop.request();
  site.sim.run_for(10ms);
  assert_true(cancelled.came && cancelled.status == IoStatus::cancelled);
  assert_string_equal(site.read(10, 2).c_str(), "aa");
  // From here on nobody has to ask again.
  site.sim.run_for(1min);
  assert_true(write.came && ok(write.status));
  assert_true(flush.came && ok(flush.status));
  assert_string_equal(state_of(site).c_str(), "let go");
  assert_int_equal(site.label->written->owner, 1);
}

void a_log_that_fails_while_it_is_let_go_is_passed_by(void**) {
  Site site;
  site.freeze();
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.backend->log_control()->want_to_let_go();
  site.disk->failures["write"] = IoStatus::medium_error;
  const Answer& write = site.begin(site.write(20, 1, 'b'));
  site.thaw();
  site.sim.run_for(1min);
  assert_true(write.came && ok(write.status));
  assert_string_equal(state_of(site).c_str(), "retired");
  assert_string_equal(site.read(10, 2).c_str(), "aa");
  assert_int_equal(site.label->written->owner, 1);
}

void held_changes_go_on_as_soon_as_the_log_fails(void**) {
  Site site;
  site.disk->gate.reset();
  const Answer& stuck = site.begin(site.write(10, 1, 'a'));
  site.backend->log_control()->want_to_let_go();
  const Answer& held = site.begin(site.write(20, 1, 'b'));
  assert_false(stuck.came || held.came);
  assert_string_equal(state_of(site).c_str(), "letting go");
  site.disk->failures["write"] = IoStatus::medium_error;
  site.disk->gate.set();
  site.sim.run_for(LoggedStore::first_hold / 5);
  assert_true(stuck.came && ok(stuck.status));
  assert_true(held.came && ok(held.status));
  assert_string_equal(site.read(20, 1).c_str(), "b");
}

void a_log_that_failed_unnoticed_is_let_go(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.disk->failures["write"] = IoStatus::medium_error;  // of the seal
  site.sim.run_for(1min);
  assert_string_equal(state_of(site).c_str(), "failing");
  site.backend->log_control()->want_to_let_go();
  site.sim.run_for(1min);
  assert_string_equal(state_of(site).c_str(), "retired");
  assert_false(site.label->written->names_log());
}

void closing_ends_the_wish_to_let_a_log_go(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.label->refusals = 1000;
  site.backend->log_control()->want_to_let_go();
  site.sim.run_for(2s);
  const Answer& write = site.begin(site.write(20, 1, 'b'));
  assert_false(write.came);
  // ~Site closes.
}

void closing_ends_the_wish_while_the_store_hangs(void**) {
  Site site;
  site.freeze();
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.backend->log_control()->want_to_let_go();
  site.sim.run_for(2s);
  // ~Site closes.
}

void a_view_says_what_waits(void**) {
  Site site;
  site.sim.run_for(1min);
  const TimePoint before = site.sim.now();
  site.freeze();
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.sim.run_for(5s);
  assert_true(ok(site.run(site.write(20, 2, 'b'))));
  const watch::LogView view = site.backend->log_control()->view();
  assert_true(view.oldest.has_value() && *view.oldest >= before &&
              *view.oldest - before < Nanoseconds{1s});
  assert_true(view.used >= Bytes{2 * page} && view.size.value() == fewest_segments * segment_bytes);
  assert_true(view.blocks() >= 2 && view.last == site.write_log->written());
  assert_false(view.store_speed.has_value());
  site.thaw();
  site.backend->log_control()->hurry();
  site.sim.run_for(100ms);
  const watch::LogView then = site.backend->log_control()->view();
  assert_true(then.first > view.last && !then.oldest.has_value());
  assert_true(then.store_speed.has_value());
}

void closing_ends_what_waits_for_a_failed_log(void**) {
  Site site;
  assert_true(ok(site.run(site.write(10, 2, 'a'))));
  site.freeze();
  site.disk->failures["write"] = IoStatus::medium_error;
  const Answer& write = site.begin(site.write(20, 1, 'b'));
  assert_false(write.came);
  // ~Site closes. The checked backend has the write counted until it ends.
}

}  // namespace

int main() {
  set_log_sink(&no_log);
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_read_takes_each_block_from_where_its_newest_data_is),
      cmocka_unit_test(it_says_which_blocks_are_read_from_the_store),
      cmocka_unit_test(changes_flushes_and_covered_reads_need_nothing_of_the_store),
      cmocka_unit_test(a_write_with_fua_is_durable_in_the_log),
      cmocka_unit_test(the_store_gets_all_of_it_in_the_end),
      cmocka_unit_test(an_unmap_gives_space_of_the_store_back),
      cmocka_unit_test(block_status_shows_what_the_log_has),
      cmocka_unit_test(block_status_of_many_small_records_may_end_early),
      cmocka_unit_test(a_store_that_grows_is_as_large_before_the_log_says_so),
      cmocka_unit_test(a_resize_that_fails_leaves_the_size),
      cmocka_unit_test(a_store_grows_even_if_its_log_fails),
      cmocka_unit_test(a_change_on_its_way_when_a_resize_loses_the_log_is_not_indexed),
      cmocka_unit_test(a_log_that_fails_is_written_back_and_then_passed_by),
      cmocka_unit_test(past_a_log_no_flush_hides_the_failure_of_another),
      cmocka_unit_test(an_unmap_past_a_log_leaves_zeros),
      cmocka_unit_test(a_change_that_waits_for_room_passes_a_log_that_fails_meanwhile),
      cmocka_unit_test(a_change_that_the_log_may_have_is_not_called_undone),
      cmocka_unit_test(what_waits_for_a_failed_log_ends_when_it_is_cancelled),
      cmocka_unit_test(changes_wait_until_the_label_lets_the_log_go),
      cmocka_unit_test(changes_of_a_log_that_cannot_be_read_fail),
      cmocka_unit_test(changes_of_a_log_whose_disk_died_fail),
      cmocka_unit_test(a_log_that_cannot_be_read_for_a_moment_is_kept),
      cmocka_unit_test(what_waits_for_room_fails_once_the_log_cannot_be_read),
      cmocka_unit_test(closing_ends_what_waits_for_a_failed_log),
      cmocka_unit_test(a_store_lets_its_log_go),
      cmocka_unit_test(an_empty_log_is_let_go_at_once),
      cmocka_unit_test(a_log_is_kept_if_nobody_asks_again),
      cmocka_unit_test(changes_wait_until_the_label_of_a_log_that_works_lets_it_go),
      cmocka_unit_test(a_log_that_fails_while_it_is_let_go_is_passed_by),
      cmocka_unit_test(held_changes_go_on_as_soon_as_the_log_fails),
      cmocka_unit_test(a_log_that_failed_unnoticed_is_let_go),
      cmocka_unit_test(closing_ends_the_wish_to_let_a_log_go),
      cmocka_unit_test(closing_ends_the_wish_while_the_store_hangs),
      cmocka_unit_test(a_view_says_what_waits),
  };
  return cmocka_run_group_tests_name("logged_store", tests, nullptr, nullptr);
}
