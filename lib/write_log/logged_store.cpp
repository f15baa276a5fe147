// SPDX-License-Identifier: Apache-2.0
#include "lib/write_log/logged_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "lib/write_log/anatomy.h"

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

LoggedStore::LoggedStore(std::unique_ptr<backend::Backend>&& store,
                         std::unique_ptr<backend::Backend>&& device,
                         std::unique_ptr<WriteLog>&& log, const backend::Label& label,
                         std::uint32_t block, const Sabotage& sabotage)
    : log_name_{device->description()},
      store_name_{store->description()},
      label_{label},
      store_{std::move(store)},
      device_{std::move(device)},
      log_{std::move(log)},
      executor_{store_->executor()},
      block_{block},
      sabotage_{sabotage},
      geometry_{store_->geometry()},
      capabilities_{with_log(store_->capabilities())},
      past_{executor_, "the store to have what was in its log"},
      held_go_on_{executor_, "the log to be let go"},
      none_logging_{executor_, "changes on their way into the log"},
      operations_{executor_, "the last operation on a store with a log"},
      tasks_{executor_},
      landmark_{executor_, Anatomy::logged_store, this} {
  none_logging_.set();
  log_->on_failure([](void* self) { static_cast<LoggedStore*>(self)->let_held_go_on(); }, this);
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
  return let_go_ ? store_name_ : fmt::format("{};log={}", store_name_, log_name_);
}

watch::LogView LoggedStore::view() const {
  watch::LogView view = log_->view();
  view.device = log_name_;
  view.state =
      condition(log_->state(), let_go_, is_past(), going_past_ || (leaving_ && is_wanted()));
  return view;
}

const char* LoggedStore::condition(WriteLog::State its, bool let_go, bool is_past, bool leaves) {
  if (let_go) {
    return "let go";
  }
  if (its == WriteLog::State::retired && !is_past) {
    return to_string(WriteLog::State::failing);
  }
  return its == WriteLog::State::working && leaves ? "letting go" : to_string(its);
}

// --- reading -------------------------------------------------------------------------------------

// A read that is at the store.
class LoggedStore::StoreRead : public co::ListNode<StoreRead> {
 public:
  StoreRead(LoggedStore& store, Lba lba, BlockCount count)
      : store_{store}, lba_{lba}, count_{count} {
    store_.store_reads_.push_back(*this);
  }
  ~StoreRead() { store_.store_reads_.remove(*this); }
  StoreRead(const StoreRead&) = delete;
  StoreRead& operator=(const StoreRead&) = delete;
  bool touches(Lba lba, BlockCount count) const {
    return lba < lba_ + count_ && lba_ < lba + count;
  }

 private:
  LoggedStore& store_;
  const Lba lba_;
  const BlockCount count_;
};

bool LoggedStore::reads_store(Lba lba, BlockCount count) const {
  for (const StoreRead* one = store_reads_.front(); one != nullptr;
       one = store_reads_.after(*one)) {
    if (one->touches(lba, count)) {
      return true;
    }
  }
  return false;
}

co::Task<IoStatus> LoggedStore::read(Bytes offset, io::SgView to, co::CancelToken cancel) {
  const co::Gate::Guard inside{operations_};
  std::size_t done = 0;
  IoStatus status = IoStatus::ok;
  while (ok(status) && done < to.size()) {
    const Lba lba = lba_of(offset + Bytes{done});
    const Index::Piece piece = log_->first_piece(lba, blocks_of(Bytes{to.size() - done}));
    const io::SgView part = to.slice(done, piece.blocks.value() * block_);
    if (piece.in == Index::In::store || sabotage_.reads_go_to_store) {
      const StoreRead here{*this, lba, piece.blocks};
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

void LoggedStore::let_held_go_on() {
  held_go_on_.set();
  held_go_on_.reset();
}

co::Task<bool> LoggedStore::wait_while_held(co::CancelToken cancel) {
  while (is_held() && !past_.is_set()) {
    const TimePoint until = std::min(hold_until_, wanted_until_);
    const bool over = co_await held_go_on_.wait_until(until, cancel);
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
  const std::uint64_t failed_before = failed_flushes_;
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
    status = co_await flush_store(failed_before, {});
  }
  co_return status;
}

// A flush that succeeds while another one fails proves nothing for the data that both cover
// (lib/volume/flush_failures.h, which sees only those that it asks for).
co::Task<IoStatus> LoggedStore::flush_store(std::uint64_t failed_before, co::CancelToken cancel) {
  const IoStatus status = co_await store_->flush(cancel);
  if (!ok(status)) {
    failed_flushes_ += status == IoStatus::cancelled ? 0 : 1;
    co_return status;
  }
  co_return failed_flushes_ == failed_before ? IoStatus::ok : IoStatus::medium_error;
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
  const IoStatus status = co_await flush_store(failed_flushes_, cancel);
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
    status = co_await flush_store(failed_flushes_, {});
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

// --- closing -------------------------------------------------------------------------------------

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
