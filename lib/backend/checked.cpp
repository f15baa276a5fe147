// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/checked.h"

#include <optional>
#include <utility>

#include "lib/backend/filter.h"
#include "lib/backend/op_errors.h"
#include "lib/backend/op_status.h"
#include "lib/base/assert.h"
#include "lib/co/gate.h"

namespace ballast::backend {
namespace {

constexpr bool power_of_two(std::uint64_t n) {
  return n != 0 && (n & (n - 1)) == 0;
}

class Checked final : public Filter, private co::TaskListener<IoStatus> {
 public:
  explicit Checked(std::unique_ptr<Backend>&& inner)
      : Filter{*inner},
        inner_{std::move(inner)},
        executor_{inner_->executor()},
        running_{executor_, "a backend's last operation"} {
    check_geometry();
  }
  ~Checked() override { BALLAST_ASSERT(closed_ || !running_.used()); }

  co::Executor& executor() override { return executor_; }
  const OpErrors* errors() const override { return &errors_; }

  co::Task<IoStatus> read(Bytes offset, io::SgView to, co::CancelToken cancel) override;
  co::Task<IoStatus> write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel) override;
  co::Task<IoStatus> write_once(Bytes offset, io::SgView from, Fua fua,
                                co::CancelToken cancel) override;
  co::Task<IoStatus> zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                          co::CancelToken cancel) override;
  co::Task<IoStatus> discard(Bytes offset, Bytes length, co::CancelToken cancel) override;
  co::Task<IoStatus> flush(co::CancelToken cancel) override;
  co::Task<IoStatus> block_status(Bytes offset, Bytes length, std::size_t limit,
                                  std::vector<Extent>* out) override;
  co::Task<IoStatus> resize(Bytes size) override;
  co::Task<Result<void>> write_label(std::optional<Label> label) override;
  co::Task<std::string> waits_for(Nanoseconds patience) override;
  co::Task<std::optional<Room>> room() override;
  co::Task<void> close() override;

 private:
  void check_geometry() const;
  void check_range(Bytes offset, Bytes length) const;
  IoStatus check_status(OpKind kind, IoStatus status);
  // Counts `task` as running until it ends, and then asserts that its status is legal for `kind`.
  co::Task<IoStatus> watch(OpKind kind, co::Task<IoStatus> task);
  void task_ended(const IoStatus& status, std::uint32_t kind) override;
  void task_dropped(std::uint32_t) override { running_.leave(); }
  co::Task<IoStatus> nothing_to_do() { co_return IoStatus::ok; }

  std::unique_ptr<Backend> inner_;
  co::Executor& executor_;
  co::Gate running_;
  OpErrors errors_;
  bool closed_ = false;
  bool resizing_ = false;
};

void Checked::check_geometry() const {
  const Geometry& g = inner_->geometry();
  BALLAST_ASSERT(power_of_two(g.logical_block.value()));
  BALLAST_ASSERT(g.logical_block >= Bytes{512} && g.logical_block <= Bytes{4096});
  BALLAST_ASSERT(power_of_two(g.physical_block.value()));
  BALLAST_ASSERT(g.physical_block >= g.logical_block);
  BALLAST_ASSERT(g.size.value() % g.logical_block.value() == 0);
  BALLAST_ASSERT(g.discard_granularity.value() % g.logical_block.value() == 0);
  BALLAST_ASSERT((g.discard_granularity.value() != 0) == inner_->capabilities().discard);
}

void Checked::check_range(Bytes offset, Bytes length) const {
  const Geometry& g = inner_->geometry();
  BALLAST_ASSERT(!running_.closed());
  BALLAST_ASSERT(offset.value() % g.logical_block.value() == 0);
  BALLAST_ASSERT(length.value() % g.logical_block.value() == 0);
  BALLAST_ASSERT(length <= g.size);
  BALLAST_ASSERT(offset <= g.size - length);
}

IoStatus Checked::check_status(OpKind kind, IoStatus status) {
  BALLAST_ASSERT(may_end_with(kind, status));
  // A change never ends with ok on a read-only store.
  const bool change = kind == OpKind::write || kind == OpKind::zero || kind == OpKind::discard;
  BALLAST_ASSERT(!change || !ok(status) || !inner_->capabilities().read_only);
  if (!ok(status)) [[unlikely]] {
    errors_.add(kind, status, executor_.now());
  }
  return status;
}

co::Task<IoStatus> Checked::watch(OpKind kind, co::Task<IoStatus> task) {
  const bool entered = running_.enter();
  BALLAST_ASSERT(entered);
  const auto before = task.on_end({this, static_cast<std::uint32_t>(kind)});
  BALLAST_ASSERT(before.listener == nullptr);
  return task;
}

void Checked::task_ended(const IoStatus& status, std::uint32_t kind) {
  if (!ok(status) || static_cast<OpKind>(kind) != OpKind::read) {
    (void)check_status(static_cast<OpKind>(kind), status);
  }
  running_.leave();
}

co::Task<IoStatus> Checked::read(Bytes offset, io::SgView to, co::CancelToken cancel) {
  check_range(offset, Bytes{to.size()});
  if (to.empty()) {
    return nothing_to_do();
  }
  return watch(OpKind::read, inner_->read(offset, to, cancel));
}

co::Task<IoStatus> Checked::write(Bytes offset, io::SgView from, Fua fua, co::CancelToken cancel) {
  check_range(offset, Bytes{from.size()});
  BALLAST_ASSERT(fua == Fua::no || inner_->capabilities().fua);
  if (from.empty()) {
    return nothing_to_do();
  }
  return watch(OpKind::write, inner_->write(offset, from, fua, cancel));
}

co::Task<IoStatus> Checked::write_once(Bytes offset, io::SgView from, Fua fua,
                                       co::CancelToken cancel) {
  check_range(offset, Bytes{from.size()});
  BALLAST_ASSERT(fua == Fua::no || inner_->capabilities().fua);
  if (from.empty()) {
    return nothing_to_do();
  }
  return watch(OpKind::write, inner_->write_once(offset, from, fua, cancel));
}

co::Task<IoStatus> Checked::zero(Bytes offset, Bytes length, MayUnmap may_unmap,
                                 co::CancelToken cancel) {
  check_range(offset, length);
  if (length == Bytes{}) {
    return nothing_to_do();
  }
  return watch(OpKind::zero, inner_->zero(offset, length, may_unmap, cancel));
}

co::Task<IoStatus> Checked::discard(Bytes offset, Bytes length, co::CancelToken cancel) {
  check_range(offset, length);
  if (length == Bytes{}) {
    return nothing_to_do();
  }
  return watch(OpKind::discard, inner_->discard(offset, length, cancel));
}

co::Task<IoStatus> Checked::flush(co::CancelToken cancel) {
  BALLAST_ASSERT(!running_.closed());
  return watch(OpKind::flush, inner_->flush(cancel));
}

co::Task<IoStatus> Checked::block_status(Bytes offset, Bytes length, std::size_t limit,
                                         std::vector<Extent>* out) {
  check_range(offset, length);
  BALLAST_ASSERT(out != nullptr && limit > 0);
  if (length == Bytes{}) {
    co_return IoStatus::ok;
  }
  const co::Gate::Guard inside{running_};
  const std::size_t before = out->size();
  const IoStatus status = co_await inner_->block_status(offset, length, limit, out);
  if (ok(status)) {
    BALLAST_ASSERT(out->size() > before && out->size() - before <= limit);
    Bytes at = offset;
    for (std::size_t i = before; i < out->size(); ++i) {
      BALLAST_ASSERT((*out)[i].offset == at && (*out)[i].length > Bytes{});
      at += (*out)[i].length;
    }
    BALLAST_ASSERT(at <= offset + length);
  } else {
    BALLAST_ASSERT(out->size() == before);
  }
  co_return check_status(OpKind::block_status, status);
}

co::Task<IoStatus> Checked::resize(Bytes size) {
  BALLAST_ASSERT(!running_.closed() && !resizing_);
  BALLAST_ASSERT(size.value() % inner_->geometry().logical_block.value() == 0);
  const co::Gate::Guard inside{running_};
  const Bytes before = inner_->geometry().size;
  resizing_ = true;
  const IoStatus status = co_await inner_->resize(size);
  resizing_ = false;
  check_geometry();
  BALLAST_ASSERT(inner_->geometry().size == (ok(status) ? size : before));
  co_return check_status(OpKind::resize, status);
}

co::Task<Result<void>> Checked::write_label(std::optional<Label> label) {
  BALLAST_ASSERT(!running_.closed());
  const co::Gate::Guard inside{running_};
  Result<void> written = co_await inner_->write_label(std::move(label));
  co_return std::move(written);
}

co::Task<std::string> Checked::waits_for(Nanoseconds patience) {
  BALLAST_ASSERT(!running_.closed());
  const co::Gate::Guard inside{running_};
  std::string text = co_await inner_->waits_for(patience);
  co_return std::move(text);
}

co::Task<std::optional<Room>> Checked::room() {
  BALLAST_ASSERT(!running_.closed() && inner_->capabilities().room);
  const co::Gate::Guard inside{running_};
  const std::optional<Room> room = co_await inner_->room();
  co_return room;
}

co::Task<void> Checked::close() {
  BALLAST_ASSERT(!running_.closed());
  running_.close();
  co_await inner_->close();
  // The backend has ended all operations, but the last step of their tasks may still be queued.
  co_await running_.drain();
  closed_ = true;
}

}  // namespace

std::unique_ptr<Backend> make_checked(std::unique_ptr<Backend>&& inner) {
  return std::make_unique<Checked>(std::move(inner));
}

}  // namespace ballast::backend
