// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/logged_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/base/log.h"
#include "lib/co/sleep.h"
#include "lib/write_log/let_go.h"

namespace ballast::write_log {
namespace {

backend::Capabilities with_log(backend::Capabilities its) {
  its.fua = true;  // the log makes a change durable
  its.volatile_cache = true;
  its.write_through = false;
  its.zero = true;  // as a record without data
  // The log has an UNMAP as zeros, so the store must be able to make zeros of it.
  its.discard = its.discard && its.zero_unmaps;
  its.discard_zeroes = its.discard;
  return its;
}

// Adds an extent behind those that are there.
void add(std::vector<backend::Extent>* extents, const backend::Extent& next) {
  if (!extents->empty() && extents->back().allocated == next.allocated) {
    extents->back().length += next.length;
  } else {
    extents->push_back(next);
  }
}

}  // namespace

LoggedStore::LoggedStore(std::unique_ptr<backend::Backend> store,
                         std::unique_ptr<backend::Backend> device, std::unique_ptr<WriteLog> log,
                         backend::Label label, std::uint32_t block, const Sabotage& sabotage)
    : store_{std::move(store)},
      device_{std::move(device)},
      log_{std::move(log)},
      executor_{store_->executor()},
      log_name_{device_->description()},
      label_{std::move(label)},
      block_{block},
      sabotage_{sabotage},
      geometry_{store_->geometry()},
      capabilities_{with_log(store_->capabilities())},
      past_{executor_, "the store to have what was in its log"},
      none_logging_{executor_, "changes on their way into the log"},
      operations_{executor_, "the last operation on a store with a log"},
      tasks_{executor_} {
  none_logging_.set();
  BALLAST_ASSERT(block_ % geometry_.logical_block.value() == 0);
  geometry_.logical_block = Bytes{block_};
  geometry_.physical_block = std::max(geometry_.physical_block, geometry_.logical_block);
  if (!capabilities_.discard) {
    geometry_.discard_granularity = Bytes{};
  }
  learn_size();
}

LoggedStore::~LoggedStore() = default;

void LoggedStore::learn_size() {
  geometry_.size = Bytes{store_->geometry().size.value() / block_ * block_};
}

std::string LoggedStore::description() const {
  return let_go_ ? store_->description()
                 : fmt::format("{};log={}", store_->description(), log_name_);
}

watch::LogView LoggedStore::view() const {
  watch::LogView view = log_->view();
  view.device = log_name_;
  if (let_go_) {
    view.state = "let go";
  } else if (log_->state() == WriteLog::State::retired && !is_past()) {
    view.state = to_string(WriteLog::State::failing);
  } else if (works() && (going_past_ || (leaving_ && is_wanted()))) {
    view.state = "letting go";
  }
  return view;
}

// --- reading -------------------------------------------------------------------------------------

co::Task<IoStatus> LoggedStore::read(Bytes offset, io::SgView to, co::CancelToken cancel) {
  const co::Gate::Guard inside{operations_};
  std::size_t done = 0;
  IoStatus status = IoStatus::ok;
  while (ok(status) && done < to.size()) {
    const Lba lba = lba_of(offset + Bytes{done});
    const Index::Piece piece = log_->first_piece(lba, blocks_of(Bytes{to.size() - done}));
    const io::SgView part = to.slice(done, piece.blocks.value() * block_);
    if (piece.in == Index::In::store || sabotage_.reads_go_to_store) {
      status = co_await store_->read(offset + Bytes{done}, part, cancel);
    } else {
      status = co_await log_->read(piece, part);
    }
    done += part.size();
  }
  co_return status;
}

// What the log has as zeros counts as given back: nothing of it lies in the store.
co::Task<IoStatus> LoggedStore::block_status(Bytes offset, Bytes length, std::size_t limit,
                                             std::vector<backend::Extent>* out) {
  const co::Gate::Guard inside{operations_};
  const Bytes end = offset + length;
  std::vector<backend::Extent> found;
  std::vector<backend::Extent> part;
  // Pieces of one kind become one extent, so there may be more of them than extents.
  std::size_t most_pieces = 64 + 4 * limit;
  while (offset < end && found.size() < limit && most_pieces-- > 0) {
    const Index::Piece piece = log_->first_piece(lba_of(offset), blocks_of(end - offset));
    const Bytes bytes{piece.blocks.value() * block_};
    if (piece.in != Index::In::store) {
      add(&found, {offset, bytes, piece.in == Index::In::log});
      offset += bytes;
      continue;
    }
    part.clear();
    const IoStatus status =
        co_await store_->block_status(offset, bytes, limit - found.size(), &part);
    if (!ok(status)) {
      co_return status;
    }
    for (const backend::Extent& extent : part) {
      add(&found, extent);
      offset += extent.length;
    }
  }
  out->insert(out->end(), found.begin(), found.end());
  co_return IoStatus::ok;
}

// --- changing ------------------------------------------------------------------------------------

co::Task<IoStatus> LoggedStore::write(Bytes offset, io::SgView from, backend::Fua fua,
                                      co::CancelToken cancel) {
  return change(
      {.way = Way::write, .offset = offset, .length = Bytes{from.size()}, .from = from, .fua = fua},
      cancel);
}

co::Task<IoStatus> LoggedStore::write_once(Bytes offset, io::SgView from, backend::Fua fua,
                                           co::CancelToken cancel) {
  return change({.way = Way::write_once,
                 .offset = offset,
                 .length = Bytes{from.size()},
                 .from = from,
                 .fua = fua},
                cancel);
}

co::Task<IoStatus> LoggedStore::zero(Bytes offset, Bytes length, backend::MayUnmap may_unmap,
                                     co::CancelToken cancel) {
  return change({.way = Way::zero, .offset = offset, .length = length, .may_unmap = may_unmap},
                cancel);
}

co::Task<IoStatus> LoggedStore::discard(Bytes offset, Bytes length, co::CancelToken cancel) {
  return change({.way = Way::discard,
                 .offset = offset,
                 .length = length,
                 .may_unmap = backend::MayUnmap::yes},
                cancel);
}

Change LoggedStore::to_change(const Order& order) const {
  Change its{.lba = lba_of(order.offset), .blocks = blocks_of(order.length)};
  if (order.way == Way::write || order.way == Way::write_once) {
    its.kind = Kind::data;
    its.data = order.from;
  } else {
    const bool unmaps = order.may_unmap == backend::MayUnmap::yes && capabilities_.zero_unmaps;
    its.kind = unmaps ? Kind::unmap : Kind::zero;
  }
  return its;
}

class [[nodiscard]] LoggedStore::Logging {
 public:
  explicit Logging(LoggedStore& store) : store_{store} {
    ++store_.loggings_;
    ++store_.logging_;
    store_.none_logging_.reset();
  }
  ~Logging() {
    if (--store_.logging_ == 0) {
      store_.none_logging_.set();
    }
  }
  Logging(const Logging&) = delete;
  Logging& operator=(const Logging&) = delete;

 private:
  LoggedStore& store_;
};

co::Task<bool> LoggedStore::wait_while_held(co::CancelToken cancel) {
  while (is_held() && !past_.is_set()) {
    const TimePoint until = std::min(hold_until_, wanted_until_);
    const bool over = co_await past_.wait_until(until, cancel);
    if (!over && cancel.requested()) {
      co_return false;
    }
  }
  co_return true;
}

co::Task<IoStatus> LoggedStore::change(Order order, co::CancelToken cancel) {
  const co::Gate::Guard inside{operations_};
  if (is_held()) {
    const bool goes_on = co_await wait_while_held(cancel);
    if (!goes_on) {
      co_return IoStatus::cancelled;
    }
  }
  bool may_be_in_log = false;
  if (uses_log()) {
    const Logging logging{*this};
    const Until until = order.fua == backend::Fua::yes ? Until::durable : Until::written;
    const IoStatus status = co_await log_->append(to_change(order), until, cancel);
    if (ok(status) || status == IoStatus::cancelled || works()) {
      co_return status;
    }
    may_be_in_log = true;
  }
  IoStatus status = IoStatus::ok;
  if (!is_past() && !sabotage_.changes_pass_early) {
    // A block whose write failed may be on the device all the same, and the next opening would find
    // it. So what may be in the log is not given up: nothing overlaps it until the log is let go.
    status = co_await wait_until_past(may_be_in_log ? co::CancelToken{} : cancel);
  }
  if (ok(status)) {
    status = co_await change_store(order, cancel);
  }
  const bool not_done = status == IoStatus::cancelled || status == IoStatus::no_resource;
  if (may_be_in_log && not_done) {
    status = IoStatus::medium_error;
  }
  co_return status;
}

co::Task<IoStatus> LoggedStore::change_store(Order order, co::CancelToken cancel) {
  const backend::Capabilities& its = store_->capabilities();
  if (order.way == Way::discard && !its.discard_zeroes) {
    order.way = Way::zero;  // as the log had it: unmapped blocks are zeros
  }
  if (order.way == Way::zero) {
    const IoStatus status =
        co_await store_->zero(order.offset, order.length, order.may_unmap, cancel);
    co_return status;
  }
  if (order.way == Way::discard) {
    const IoStatus status = co_await store_->discard(order.offset, order.length, cancel);
    co_return status;
  }
  const bool durable = order.fua == backend::Fua::yes;
  const backend::Fua fua = durable && its.fua ? backend::Fua::yes : backend::Fua::no;
  IoStatus status = IoStatus::ok;
  if (order.way == Way::write) {
    status = co_await store_->write(order.offset, order.from, fua, cancel);
  } else {
    status = co_await store_->write_once(order.offset, order.from, fua, cancel);
  }
  if (ok(status) && durable && !its.fua && its.volatile_cache) {
    // It is done, so "certainly not done" would be wrong. Nothing cancels this flush.
    status = co_await store_->flush();
  }
  co_return status;
}

co::Task<IoStatus> LoggedStore::flush(co::CancelToken cancel) {
  const co::Gate::Guard inside{operations_};
  if (uses_log()) {
    const IoStatus status = co_await log_->flush();
    if (ok(status) || works()) {
      co_return status;
    }
  }
  if (!is_past()) {
    const IoStatus status = co_await wait_until_past(cancel);
    if (!ok(status)) {
      co_return status;
    }
  }
  const IoStatus status = co_await store_->flush(cancel);
  co_return status;
}

co::Task<IoStatus> LoggedStore::resize(Bytes size) {
  const co::Gate::Guard inside{operations_};
  const bool goes_on = co_await wait_while_held({});
  BALLAST_ASSERT(goes_on);
  const Logging logging{*this};
  IoStatus status = co_await store_->resize(size);
  if (ok(status) && uses_log()) {
    // Before the log has changes behind the old end.
    status = co_await store_->flush();
    if (ok(status)) {
      status = co_await log_->set_lun(size);
      status = works() ? status : IoStatus::ok;  // the size of a log that failed does not matter
    }
  }
  if (ok(status)) {
    learn_size();
  }
  co_return status;
}

// --- past the log --------------------------------------------------------------------------------

void LoggedStore::begin_to_pass() {
  if (!std::exchange(going_past_, true)) {
    tasks_.spawn("past the log", go_past());
  }
}

co::Task<IoStatus> LoggedStore::wait_until_past(co::CancelToken cancel) {
  begin_to_pass();
  const bool over = co_await past_.wait(cancel);
  co_return over ? past_status_ : IoStatus::cancelled;
}

co::Task<void> LoggedStore::go_past() {
  log(LogLevel::error,
      "the write log {} failed: Ballast writes what it has to {}; meanwhile changes of the LUN "
      "wait",
      log_name_, store_->description());
  const IoStatus status = co_await log_->drain();
  if (!ok(status)) {
    const bool damaged = log_->state() == WriteLog::State::damaged;
    if (damaged) {
      log(LogLevel::error,
          "the write log {} cannot be read: what it has does not get to {}; changes of the LUN "
          "fail",
          log_name_, store_->description());
    }
    end_past(damaged ? IoStatus::medium_error : IoStatus::not_ready);
    co_return;
  }
  const bool gone = co_await let_go();
  if (gone) {
    log(LogLevel::warning, "{} has all that was in the write log {}, and works without it now",
        store_->description(), log_name_);
  }
  end_past(gone ? IoStatus::ok : IoStatus::not_ready);
}

co::Task<bool> LoggedStore::let_go() {
  if (sabotage_.keeps_failed_log) {
    co_return true;
  }
  label_ = write_log::let_go(std::move(label_));
  Nanoseconds wait = Reaper::first_wait;
  for (;;) {
    const Result<void> written = co_await store_->write_label(label_);
    if (written.ok()) {
      co_return true;
    }
    if (wait == Reaper::first_wait) {
      log(LogLevel::error,
          "{} still names its write log: {}; Ballast tries again, and changes of the LUN wait",
          store_->description(), written.error().message);
    }
    const bool goes_on = co_await co::sleep_for(executor_, wait, stop_.token());
    if (!goes_on) {
      co_return false;
    }
    wait = std::min(2 * wait, Reaper::longest_wait);
  }
}

void LoggedStore::end_past(IoStatus status) {
  if (!past_.is_set()) {
    past_status_ = status;
    past_.set();
  }
}

void LoggedStore::want_to_let_go() {
  if (!works()) {
    begin_to_pass();  // perhaps no change has noticed it yet
    return;
  }
  wanted_until_ = executor_.now() + wish_lasts;
  if (!leaving_ && uses_log()) {
    leaving_ = true;
    tasks_.spawn("to let the log go", leave_log());
  }
  log_->empty_until(wanted_until_);
}

co::Task<void> LoggedStore::leave_log() {
  log(LogLevel::info, "{} is to let its write log {} go: first it gets what is in there",
      store_->description(), log_name_);
  Nanoseconds hold = first_hold;
  bool gone = false;
  // Each round leaves half of what it found, or what fits in one batch of the reaper.
  for (unsigned small_rounds = 0; !gone && stays_to_leave();) {
    const IoStatus status = co_await log_->drain();
    if (!ok(status)) {
      break;
    }
    small_rounds = log_->fits_batch() ? small_rounds + 1 : 0;
    if (stays_to_leave() && (is_nearly_empty() || small_rounds >= enough_small_rounds)) {
      hold_until_ = executor_.now() + hold;
      gone = co_await cut_over();
      hold = std::min(2 * hold, longest_hold);
    }
  }
  if (!gone && uses_log()) {
    log(LogLevel::info, "{} keeps its write log {}: nobody wants it to go any more",
        store_->description(), log_name_);
  }
  leaving_ = false;
}

bool LoggedStore::is_nearly_empty() const {
  constexpr Nanoseconds soon = std::chrono::seconds{1};
  const std::optional<Nanoseconds> time = log_->time_to_drain();
  return log_->is_drained() || (time.has_value() && *time <= soon);
}

co::Task<bool> LoggedStore::cut_over() {
  const std::uint64_t loggings = loggings_;
  (void)co_await none_logging_.wait_until(hold_until_);
  IoStatus status = logging_ == 0 ? IoStatus::ok : IoStatus::not_ready;
  if (ok(status) && stays_to_leave() && !sabotage_.lets_go_too_early) {
    status = co_await log_->drain();
  }
  // Nothing has got into the log since, however long that took.
  const bool nothing_new = loggings == loggings_ && logging_ == 0;
  const bool empty = ok(status) && (nothing_new || sabotage_.log_takes_late);
  if (!empty || !stays_to_leave()) {
    hold_until_ = {};
    co_return false;
  }
  BALLAST_ASSERT(log_->is_drained() || sabotage_.lets_go_too_early || sabotage_.log_takes_late);
  going_past_ = true;
  const bool gone = co_await let_go();
  if (gone) {
    let_go_ = true;
    log(LogLevel::info, "{} has let its write log {} go, and works without it now",
        store_->description(), log_name_);
  }
  end_past(gone ? IoStatus::ok : IoStatus::not_ready);
  if (gone) {
    co_await close_log();
  }
  co_return gone;
}

co::Task<void> LoggedStore::close_log() {
  if (std::exchange(log_closed_, true)) {
    co_return;
  }
  co_await log_->close();
  co_await device_->close();
}

co::Task<void> LoggedStore::close() {
  operations_.close();
  end_past(IoStatus::not_ready);
  co_await operations_.drain();
  stop_.request();
  co_await close_log();
  co_await tasks_.join();
  co_await store_->close();
}

}  // namespace ballast::write_log
