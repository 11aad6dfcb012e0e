"""``python -m sklearn_open`` runs the demonstration."""

from sklearn_open._demo import main

if __name__ == "__main__":
    main()
