"""What tests and the demo need and users may borrow: synthetic data, contract suites, fakes."""
