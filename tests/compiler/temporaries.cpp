// SPDX-License-Identifier: Apache-2.0
// Trap: aggregate and closure temporaries in an expression with co_await are destroyed twice. Hence
// a named local, and std::move.
#include "tests/compiler/canary.h"

namespace {

int alive = 0;  // constructed and not destroyed

struct Tracked {
  Tracked() { ++alive; }
  Tracked(const Tracked&) { ++alive; }
  Tracked(Tracked&&) noexcept { ++alive; }
  Tracked& operator=(const Tracked&) = default;
  ~Tracked() { --alive; }
};

canary::Task<int> one(int) {
  co_return 1;
}

struct Aggregate {
  Tracked member;
  canary::Task<int> method() { return one(0); }
};

canary::Task<int> take(Aggregate) {
  co_return 1;
}

template <class Function>
canary::Task<int> call(Function) {
  co_return 1;
}

canary::Task<int> braced_argument() {
  const int result = co_await take({.member = Tracked{}});
  co_return result;
}

canary::Task<int> closure_argument() {
  const Tracked tracked;
  const int result = co_await call([tracked] { (void)tracked; });
  co_return result;
}

canary::Task<int> method_of_a_temporary() {
  const int result = co_await Aggregate{}.method();
  co_return result;
}

canary::Task<int> named_and_moved() {
  Aggregate aggregate{};
  const int result = co_await take(std::move(aggregate));
  co_return result;
}

int trap(const char* name, canary::Task<int> (*coroutine)(), bool known) {
  alive = 0;
  (void)coroutine().run();
  return canary::verdict(name, alive != 0, known);
}

}  // namespace

int main() {
  return trap("a braced argument beside co_await is destroyed twice", braced_argument, true) |
         trap("a closure argument beside co_await is destroyed twice", closure_argument, true) |
         trap("the temporary of a method call beside co_await is destroyed twice",
              method_of_a_temporary, true) |
         trap("a named local that is moved from is destroyed twice", named_and_moved, false);
}
