// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/sim_log.h"

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "lib/backend/checked.h"
#include "lib/backend/filter.h"
#include "lib/backend/kinds.h"
#include "lib/write_log/format.h"
#include "lib/write_log/logged_source.h"
#include "tests/sim/content.h"

namespace ballast::sim {
namespace {

constexpr Bytes log_size{write_log::ring_begin +
                         write_log::fewest_segments * write_log::segment_bytes};

}  // namespace

// A store with its log, as the volume has it: a backend that has FUA, whatever the store has. On a
// store without FUA, a write with FUA that passes the log by is a plain write and a flush behind
// it. The volume cannot know which of the two failed, so it counts a write that failed as a flush
// that did: if its command was answered before, the next flush fails, once, although nothing is
// lost (lib/volume/flush_failures.h). What the log itself writes to the store does not count.
class SimLog::Watched final : public backend::Filter {
 public:
  Watched(SimLog& log, std::unique_ptr<backend::Backend> inner)
      : Filter{*inner}, log_{log}, inner_{std::move(inner)} {}

  co::Task<IoStatus> write(Bytes offset, io::SgView from, backend::Fua fua,
                           co::CancelToken cancel) override {
    co::Task<IoStatus> writing = Filter::write(offset, from, fua, cancel);
    return fua == backend::Fua::yes ? watch(offset, from, std::move(writing)) : std::move(writing);
  }
  co::Task<IoStatus> write_once(Bytes offset, io::SgView from, backend::Fua fua,
                                co::CancelToken cancel) override {
    co::Task<IoStatus> writing = Filter::write_once(offset, from, fua, cancel);
    return fua == backend::Fua::yes ? watch(offset, from, std::move(writing)) : std::move(writing);
  }

 private:
  co::Task<IoStatus> watch(Bytes offset, io::SgView from, co::Task<IoStatus> writing) {
    const IoStatus status = co_await std::move(writing);
    if (status == IoStatus::medium_error && log_coverage()->is_passed_by() &&
        has_failed_now(offset.value() / block_size, from.size() / block_size)) {
      log_.has_failed_behind_ = true;
    }
    co_return status;
  }
  // Whether the store has failed a write of just these blocks in this moment.
  bool has_failed_now(std::uint64_t first, std::uint64_t count) {
    return std::ranges::any_of(log_.behind_.ops(), [&](const SimBackend::Op& op) {
      return op.kind == OpKind::write && op.first == first && op.count == count && !op.running &&
             op.status == IoStatus::medium_error && op.ended == executor().now();
    });
  }

  SimLog& log_;
  const std::unique_ptr<backend::Backend> inner_;
};

// As LoggedSource. It tells of a log that cannot be opened, and of the one that was.
class SimLog::Source final : public backend::StoreSource {
 public:
  Source(SimLog& log, std::unique_ptr<write_log::LoggedSource> inner)
      : log_{log}, inner_{std::move(inner)} {}

  State state() override { return inner_->state(); }
  Error error() override { return inner_->error(); }
  co::Task<Result<void>> finish(co::Executor& executor, co::CancelToken cancel) override {
    Result<void> result = co_await inner_->finish(executor, cancel);
    const int error = result.ok() ? 0 : result.error().errno_value;
    if (error != 0 && error != ECANCELED && error != EBUSY) {  // EBUSY: the store was fenced
      log_.verdict_.complain("the LUN cannot be opened: {}", result.error().message);
    }
    co_return result;
  }
  backend::Store take() override {
    const bool has_log = inner_->logged() != nullptr;
    log_.opened(inner_->logged());
    backend::Store store = inner_->take();
    if (has_log) {
      store.backend = std::make_unique<Watched>(log_, std::move(store.backend));
    }
    return store;
  }

 private:
  SimLog& log_;
  const std::unique_ptr<write_log::LoggedSource> inner_;
};

SimLog::SimLog(co::Executor& executor, std::uint64_t seed, std::size_t unit,
               const write_log::Sabotage& sabotage, const SimBackend& behind, Verdict& verdict)
    : executor_{executor},
      random_{seed},
      unit_{unit},
      sabotage_{sabotage},
      behind_{behind},
      verdict_{verdict} {}

std::unique_ptr<backend::StoreSource> SimLog::before(std::unique_ptr<backend::StoreSource> store,
                                                     const std::optional<backend::Label>& label,
                                                     Bytes lun, bool may_go_alone) {
  forget();
  const std::uint64_t owner = label.has_value() ? label->owner : 0;
  const bool goes_alone = may_go_alone && owner > 0 && !label->names_log() && random_.chance(1, 3);
  while (media_.size() <= owner && !goes_alone) {
    media_.emplace_back(log_size.value(), write_log::page);
  }
  backend::StoreOrder order;
  order.config.kind = backend::find_kind("memory");
  order.lun = "sim";
  order.size = lun;
  order.logical_block = Bytes{block_size};
  const write_log::LogConfig config{.path = "/sim.log", .size = log_size};
  auto open_device = [this, &medium = media_.back(), seed = random_.next()](
                         bool) -> Result<std::unique_ptr<backend::StoreSource>> {
    auto disk = std::make_unique<test::SimDisk>(executor_, medium, seed, unit_, temper());
    disk_ = disk.get();
    return std::unique_ptr<backend::StoreSource>{
        std::make_unique<backend::OpenedSource>(backend::make_checked(std::move(disk)))};
  };
  return std::make_unique<Source>(*this, std::make_unique<write_log::LoggedSource>(
                                             executor_, std::move(store), std::move(order), config,
                                             std::move(open_device), sabotage_));
}

void SimLog::forget() {
  disk_ = nullptr;
  store_ = nullptr;
}

// Much faster than the shortest deadline.
test::DiskTemper SimLog::temper() {
  return {.shortest = std::chrono::microseconds{10}, .longest = std::chrono::microseconds{300}};
}

void SimLog::fail(unsigned chance) {
  if (works()) {
    verdict_.trace(executor_.now(), "the log's disk fails");
    set_failures(chance);
    has_failed_ = true;
  }
}

void SimLog::set_failures(unsigned chance) {
  if (store_ != nullptr) {
    test::DiskTemper temper = SimLog::temper();
    temper.fails = chance;
    disk_->set_temper(temper);
  }
}

void SimLog::want_to_let_go() {
  if (store_ != nullptr) {
    verdict_.trace(executor_.now(), "the log is to be let go ({})", state());
    control_of(*store_).want_to_let_go();
  }
}

bool SimLog::works() const {
  if (store_ == nullptr) {
    return false;
  }
  const std::string_view its = state();
  return its == "working" || its == "letting go";
}

bool SimLog::damaged() const {
  return store_ != nullptr && std::string_view{state()} == "damaged";
}

bool SimLog::has_room() const {
  return works() && std::string_view{state()} == "working" &&
         store_->log_coverage()->takes_changes() &&
         store_->write_log().fullness() < write_log::Pacer::from;
}

bool SimLog::covers(const Range& range) const {
  return store_ != nullptr && range.count > 0 &&
         store_->log_coverage()->covers(Lba{range.lba}, BlockCount{range.count});
}

}  // namespace ballast::sim
